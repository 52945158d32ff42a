"""Platform settings: where things run and where bytes live."""

from include.specs.platform.cluster_target import ClusterTarget
from include.specs.platform.feast import Feast
from include.specs.platform.kubernetes import Kubernetes
from include.specs.platform.serving import Serving
from include.specs.platform.settings import Platform, load_platform, platform_file

__all__ = ["ClusterTarget", "Feast", "Kubernetes", "Platform", "Serving", "load_platform", "platform_file"]
