"""The verbs of the modelled grid."""
