"""What goes wrong around zarts: damaged and hostile inputs, kills, full disks (`make faults`)."""
