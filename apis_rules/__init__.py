"""apis-rules: declared rules and state machines for houses that share energy over one DC grid."""

__version__ = "2.0.0"
