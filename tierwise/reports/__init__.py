"""Reports as files: CSV, XLSX, HTML and PDF of any report. The same report gives the same bytes."""
