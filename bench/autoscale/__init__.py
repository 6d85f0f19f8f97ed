"""How the lanes scale, on paper and in virtual time: `python -m bench.autoscale`."""
