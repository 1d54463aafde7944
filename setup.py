"""What a worker installs: the three packages, their data, and bounded dependencies."""

from setuptools import setup

setup(
    name="winnow-corpus",
    version="0.1.0",
    description="Screens training corpora before a model learns from them",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=["models", "models.taggers", "transforms", "pipeline", "configs"],
    package_data={
        "models": ["*.npz", "*.txt"],
        "pipeline": ["*.html", "*.json", "*.yaml"],
        "configs": ["policies/*", "taxonomies/*", "instruments/*", "runs/*", "lists/*/*", "indexes/*/*", "models/*/*"],
    },
    entry_points={"console_scripts": ["winnow=pipeline.cli:main"]},
    install_requires=[
        "ada-url>=1.25,<5",
        "apache-beam>=2.77,<2.78",
        "backports.zstd>=1,<2",
        "fasttext-community>=0.11.9,<0.12",
        "google-cloud-storage>=3.1,<4",
        "hyperscan>=0.9,<0.10",
        "isal>=1.7,<2",
        "license-expression>=30.4,<31",
        "numpy>=2.1,<3",
        "orjson>=3.10,<4",
        "presidio-analyzer>=2.2.360,<2.3",
        "phonenumbers>=9,<10",
        "pyarrow>=20,<26",
        "pydantic>=2.11,<3",
        "PyYAML>=6,<7",
        "regex>=2024.11,<2028",
        "rich>=13,<16",
        "tldextract>=5.1,<6",
        "typer>=0.15,<1",
    ],
    extras_require={
        "dataflow": ["google-cloud-dataflow-client>=0.8.17,<1"],
        "dev": [
            "hypothesis>=6.120,<7",
            "import-linter>=2.1,<3",
            "mypy>=1.15,<3",
            "opencc>=1.1.9,<2",
            "pandas>=2.2,<4",
            "pre-commit>=4,<5",
            "pytest>=8.3,<10",
            "ruff>=0.9,<1",
            "setuptools>=77,<90",
            "types-PyYAML>=6,<7",
        ],
    },
)
