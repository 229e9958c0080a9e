"""What the core needs of the outside, as contracts in prose; shared types; in-memory twins; the virtual-time loop."""
