"""Makes a checkout a suite: the plugin is found without being installed."""

pytest_plugins = ["blindspot.plugin"]
