"""The outside world: NATS, the embedded server, device drivers over HTTP. Thin adapters of ``apis_rules.ports``."""
