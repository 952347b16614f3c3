"""How tests and hunts compile: nearly all of their time is XLA's, and most of it makes programs fast that run once."""

import os
import subprocess
import sys

# no passes of LLVM, fusions without passes of MLIR before it, and one module for LLVM in place of up to 32
QUICK = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)


def compile_quickly() -> None:
    """Set XLA's options, before it reads them once for all; workers and all other processes inherit them."""
    if QUICK in os.environ.get("XLA_FLAGS", ""):
        return
    flags = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()
    # a version that does not know one of them stops the process
    probe = "import jax; assert jax.default_backend() == 'cpu'; jax.numpy.zeros(1)"
    known = subprocess.run([sys.executable, "-c", probe], env=os.environ | {"XLA_FLAGS": flags}, capture_output=True)
    if known.returncode == 0:
        os.environ["XLA_FLAGS"] = flags
