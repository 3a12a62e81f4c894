"""The sentences of the bundled world, one module per theme."""
