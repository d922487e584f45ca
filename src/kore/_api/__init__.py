"""The public functions of `kore`: find the worker of this process and delegate."""
