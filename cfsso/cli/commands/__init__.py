"""The commands; their bodies import what they need when they run."""
