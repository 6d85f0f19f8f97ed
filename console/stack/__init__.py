"""The local stack: bus, dispatcher and workers as processes of this machine, under FLEET_HOME."""
