"""The subcommands of ``k8snet``, one module each with ``run(options) -> exit code``."""
