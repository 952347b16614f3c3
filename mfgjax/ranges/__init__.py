"""What a program proves of its function: ranges of values and slopes, whether it is affine, what it reads."""
