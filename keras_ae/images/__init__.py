"""What people see: image files, figures and charts, and writers by file suffix."""
