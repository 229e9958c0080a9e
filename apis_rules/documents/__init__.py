"""Files that people write: models, the parser that keeps positions, diagnostics with codes."""
