"""The kit's pytest plugin.

pytest imports this module at start in every environment where croupier is installed, also for test runs
that have nothing to do with it. So it stays a shell: the suites, hypothesis and croupier itself are lazily
imported inside the hooks, when a test asks for them.
"""
