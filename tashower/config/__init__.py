"""The configuration: YAML or JSON, checked by frozen models, completed with their defaults.

The models are the one place where a key, its type, range, unit, default and description stand;
the schema and the files in config/ are generated from them.
"""

from tashower.config.analysis import (
    DataConfig,
    LikelihoodConfig,
    ReconstructionConfig,
    ScoresConfig,
)
from tashower.config.experiment import (
    SPLITS,
    ArrayConfig,
    DetectorConfig,
    FrontConfig,
    SamplesConfig,
    ShowersConfig,
)
from tashower.config.files import files_of, missing_files, missing_likelihood, missing_nuisances
from tashower.config.generators import GeneratorSettings
from tashower.config.models import Config
from tashower.config.networks import (
    InputsConfig,
    NetworkConfig,
    NetworkSettings,
    TrainingConfig,
    merge,
)
from tashower.config.reading import as_dict, examined, load_config
from tashower.config.restate import completed_yaml, default_yaml, describe, schema
from tashower.config.yaml_text import parse_yaml, plain_scalars

__all__ = [
    "SPLITS",
    "ArrayConfig",
    "Config",
    "DataConfig",
    "DetectorConfig",
    "FrontConfig",
    "GeneratorSettings",
    "InputsConfig",
    "LikelihoodConfig",
    "NetworkConfig",
    "NetworkSettings",
    "ReconstructionConfig",
    "SamplesConfig",
    "ScoresConfig",
    "ShowersConfig",
    "TrainingConfig",
    "as_dict",
    "completed_yaml",
    "default_yaml",
    "describe",
    "examined",
    "files_of",
    "load_config",
    "merge",
    "missing_files",
    "missing_likelihood",
    "missing_nuisances",
    "parse_yaml",
    "plain_scalars",
    "schema",
]
