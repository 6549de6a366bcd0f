"""How names and numbers are spelt for a reader: models, rankings, points, bytes, seconds."""

MODEL_LABELS = {
    "din": "DIN",
    "dccl-e": "DCCL-e",
    "dccl-m": "DCCL-m",
    "dccl-m+e": "DCCL-m+e",
    "mf": "MF",
    "fm": "FM",
    "neumf": "NeuMF",
    "deepfm": "DeepFM",
    "sasrec": "SASRec",
}

MODEL_MEANINGS = {
    "din": "the cloud model alone",
    "dccl-e": "the cloud model with a personal patch on each device",
    "dccl-m": "the new cloud model after distillation, alone",
    "dccl-m+e": "the new cloud model with personal patches",
}

METRIC_LABELS = {
    "hit_rate@1": "HR@1",
    "hit_rate@5": "HR@5",
    "hit_rate@10": "HR@10",
    "ndcg@5": "NDCG@5",
    "ndcg@10": "NDCG@10",
    "auc": "AUC",
    "macro_auc": "macro-AUC",
}

MINUS = "\N{MINUS SIGN}"


def model_label(model: str) -> str:
    """The model's name as papers spell it; a model this page does not know keeps its own."""
    return MODEL_LABELS.get(model, model)


def models_listed(models: list[str]) -> str:
    """Their names, one after the other."""
    return ", ".join(model_label(model) for model in models)


def metric_label(metric: str) -> str:
    """The metric's usual short name."""
    return METRIC_LABELS.get(metric, metric)


def ranking_label(ranking: str) -> str:
    """`sampled-100` as `100 sampled negatives`, `full` as `full ranking`."""
    kind, _, number = ranking.partition("-")
    if kind == "sampled" and number:
        return f"{number} sampled negatives"
    return "full ranking" if ranking == "full" else ranking


def points(value: float) -> str:
    """A figure in 0..1 as per cent with two decimals.

    >>> points(0.53241)
    '53.24'
    """
    return f"{100 * value:.2f}".replace("-", MINUS)


def signed_points(difference: float) -> str:
    """A difference of two such figures, in points, with its sign.

    >>> signed_points(0.0031), signed_points(-0.0031), signed_points(0.00001)
    ('+0.31', '−0.31', '0.00')
    """
    return _signed(f"{100 * difference:+.2f}")


def signed_percent(ratio: float) -> str:
    """A relative change as per cent with its sign.

    >>> signed_percent(0.0124)
    '+1.2 %'
    """
    return f"{_signed(f'{100 * ratio:+.1f}')} %"


def _signed(number: str) -> str:
    if not number.strip("+-0."):
        return number.lstrip("+-")
    return number.replace("-", MINUS)


def byte_count(num_bytes: int) -> str:
    """Bytes for reading.

    >>> byte_count(64), byte_count(40_500), byte_count(2_340_000)
    ('64 B', '40.5 kB', '2.3 MB')
    """
    value, unit = float(num_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{num_bytes} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds for reading.

    >>> duration(0.42), duration(75.2), duration(7320)
    ('0.4 s', '1 min 15 s', '2 h 02 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "seed"), count(1682, "item")
    ('1 seed', '1,682 items')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def event_range(low: int, high: int) -> str:
    """`3–14`, or `7` when both ends are the same."""
    return f"{low}" if low == high else f"{low}–{high}"
