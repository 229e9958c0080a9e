"""A whole community in virtual time: real nodes on twins of everything outside, and a modelled grid."""
