"""What people see and hear: image files, MIDI files, figures and charts, and writers by file suffix."""
