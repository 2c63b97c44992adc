"""What people see: picture files, figures and charts."""
