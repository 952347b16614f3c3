"""Proofs from the programs of functions: ranges of values and slopes, whether they are affine, what they depend on."""
