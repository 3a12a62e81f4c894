"""Pure computations: torch in, results out; no state, no printing."""
