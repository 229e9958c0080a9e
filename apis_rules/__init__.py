"""apis-rules: declared rules and state machines for houses that share energy over one DC grid."""

__version__ = "0.1.0"
