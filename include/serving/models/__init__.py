"""Models in memory: loaded, routed to, asked, cached, explained."""
