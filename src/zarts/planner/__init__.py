"""The best small network for given images, in a given time, within the limits of a device: `zarts fit`."""
