"""The settings as keyword arguments, for type checkers; made from the models by
tests/unit/test_config_options.py, which says how to make it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

__all__ = ["FitOptions", "RetrainOptions", "SearchOptions"]


class _CommonOptions(TypedDict, total=False):
    """Settings of all three, of the same types."""

    data_dir: Path | str
    image_size: int | None
    image_cache: Literal["auto", "memory", "streamed"]
    workers: int | None
    allow_left_out: bool
    group_by: str | None
    subset: int | float | None
    split_seed: int
    crop: Literal["pad", "resized"]
    crop_padding: int | None
    color_jitter: Sequence[float]
    flip: bool | None
    seed: int
    device: str


class _SharedOptions(_CommonOptions, total=False):
    """Settings of searches and retrainings."""

    batch_size: int
    epochs: int
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    grad_clip: float
    criterion: str | Callable[..., Any]
    channels: int
    cells: int
    stem: Literal["cifar", "imagenet"]
    operations: Path | str | None
    compile: bool
    checkpoint_activations: bool
    memory_limit: int | str | Literal["auto", "none"]
    logger: Literal["none", "tensorboard"]
    warmup_epochs: int
    learning_rate_min: float
    drop_path: float
    devices: int | Literal["auto"]
    kernels: Literal["auto", "native", "torch"]


class SearchOptions(_SharedOptions, total=False):
    """Settings of `zarts.search`."""

    threads: int | None
    precision: Literal["32-true", "bf16-mixed"]
    space: str
    method: str
    arch_optimizer: str
    relaxation: str
    weight_relaxation: str
    supernet: str
    edge_normalization: bool
    select: str
    phases: str
    phase_operations: Sequence[int]
    phase_starts: Sequence[float] | None
    phase_cells: Sequence[int] | None
    phase_warmup: float
    skip_dropout: Sequence[float]
    arch_update_interval: int
    cutout: int
    partial_channels: int
    reduction: Literal["residual", "light"]
    benchmark_table: Path | str | Literal["auto"] | None
    max_params: int | str | None
    max_macs: int | str | None
    limit_penalty: float
    cost_weight: float
    cost: Literal["parameters", "macs"]
    final_cells: int | None
    final_channels: int | None
    objective: str | Callable[..., Any]
    ablation: Literal["none", "uniform"]
    inner_steps: int
    val_batches: int
    val_batch_size: int | None
    inner_learning_rate: float | None
    inner_momentum: float | None
    batch_norm: Literal["train", "eval"]
    arch_learning_rate: float
    arch_weight_decay: float
    arch_beta1: float
    arch_beta2: float
    samples: int
    sigma: float
    sigma_decay: Literal["cosine", "constant"]
    tau: float | Literal["auto"]
    esr_target: float
    mixture_lambda: float
    proposal: Literal["mixture", "sum"]
    importance_weights: Literal["exact", "released", "softmax"]
    antithetic: bool
    directions: Literal["sphere", "gaussian", "ball"]
    estimator: Literal["antithetic", "forward", "one-point"]
    smoothing: float
    radius_max: float
    radius_min: float
    radius_decay: Literal["cosine", "constant"]
    amend_strength: float
    hessian: Literal["central", "exact"]
    entropy_weight: float
    baseline_decay: float
    weight_noise: float
    perturbation_start: float
    perturbation: float
    temperature: float
    temperature_min: float
    eigenvalue_every: int
    eigenvalue_growth: float | None
    eigenvalue_after: int
    max_skips: int | None
    select_metric: Literal["objective", "loss", "accuracy"]
    select_images: int
    select_batch_norm: Literal["train", "eval"]
    select_recalibration: int
    select_samples: int
    select_generations: int
    select_parents: int
    select_mutation: float
    select_order: Literal["one-pass", "progressive"]
    select_tune_steps: int
    select_rounds: int
    select_cells: int | None
    select_screen_steps: int
    select_finalists: int
    select_early_steps: int


class RetrainOptions(_SharedOptions, total=False):
    """Settings of `zarts.retrain`."""

    threads: int | Literal["auto"] | None
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "auto"]
    recipe: Literal["paper", "fast"]
    time: float | str | None
    micro_batches: int
    schedule: Literal["cosine", "linear", "linear-tail", "exponential", "trapezoid", "one-cycle"]
    warmup_share: float
    cooldown_share: float
    learning_rate_decay: float
    weights_from: str | None
    width: float | None
    stem_stride: int | None
    alternating_flip: bool
    augment_after: int
    small_share: float
    cutout: int | None
    auxiliary_weight: float
    decay_norms: bool
    muon_rate: float
    label_smoothing: float
    ema: float
    layout: Literal["channels-last", "nchw", "auto"]
    sync_batch_norm: bool
    test_every: int


class FitOptions(_CommonOptions, total=False):
    """Settings of `zarts.fit`."""

    max_params: int | str | None
    max_macs: int | str | None
    max_latency: str | None
    max_ram: int | str | None
    max_flash: int | str | None
    max_file: int | str | None
    int8: bool
    latency_threads: int
    latency_table: Path | str | None
    latency_command: str | None
    time: float | str
    processes: int | Literal["auto"]
    engine: Literal["processes", "ray"]
    objective: str | Callable[..., Any]
    criterion: Literal["cross-entropy", "balanced"]
    search: bool
    optimizer: Literal["gld", "mgs", "rs", "cmaes", "nevergrad", "random"]
    baselines: str | None
    plan: Path | str | None
    input: Literal["float", "uint8"]
    tflite: bool
