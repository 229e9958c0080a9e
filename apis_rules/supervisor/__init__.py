"""The process above the nodes: starts them again when they die, and keeps their converters safe meanwhile.

Its parts stand on the standard library alone, so that it stays small and cannot fail with what it watches. It talks to
nothing but device drivers, by requests that the node hands it ready-made; whatever else it knows, the node has told it.
``duty`` and ``life`` decide and are pure; ``guard``, ``kept_server`` and ``process`` act.
"""
