"""JSON Schemas of policy files and of `penstock.yaml`, for editors; generated from the tables that the readers use."""
