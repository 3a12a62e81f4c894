"""How the bundled model and SAEs are made: ``python -m saewidgets.demo.build --out DIR`` rebuilds everything from seed.

Nothing imports this package at run time; it needs sae_lens (the extra ``saelens``) and tokenizers.
"""
