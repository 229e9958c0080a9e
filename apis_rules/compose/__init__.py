"""Puts real nodes together: their files, servers, drivers and displays. The one place that knows ``apis_transport``."""
