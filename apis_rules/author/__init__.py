"""What authors of rules use: check, dry-run, tests as data, diff, replay, plots."""
