"""Live components: scan once, then react. ``import liveproof as coco``."""

from liveproof.abc.live_map import LiveMapFeed, LiveMapView, SingleWatcherGuard
from liveproof.app import App, AppConfig, DropHandle, UpdateHandle
from liveproof.core.absence import NON_EXISTENCE, NonExistenceType, is_non_existence
from liveproof.core.auto_refresh import auto_refresh
from liveproof.core.context import (
    ComponentContext,
    ComponentSubpath,
    ContextKey,
    ExceptionContext,
    ExceptionHandler,
    component_subpath,
    exception_handler,
    get_component_context,
    use_context,
)
from liveproof.core.decorator import fn
from liveproof.core.fingerprint import (
    MemoStateOutcome,
    NotMemoKeyable,
    register_memo_key_function,
    register_not_memo_keyable,
    unregister_memo_key_function,
)
from liveproof.core.fingerprint import fingerprint as memo_fingerprint
from liveproof.core.handle import ComponentMountHandle
from liveproof.core.live_map import LiveMapSubscriber
from liveproof.core.mapping import map  # noqa: A004 - the page's name
from liveproof.core.mounting import mount, mount_each, mount_target, use_mount
from liveproof.core.operator import LiveComponent, LiveComponentOperator
from liveproof.core.paths import ROOT_PATH, StableKey, StablePath, Symbol
from liveproof.core.provider import ContextProvider
from liveproof.core.stats import ComponentStats, UpdateSnapshot, UpdateStats, UpdateStatus
from liveproof.core.targets import (
    ChildTargetDef,
    MaybePendingS,
    PendingS,
    PendingTargetStateProvider,
    ResolvedS,
    TargetActionSink,
    TargetHandler,
    TargetReconcileOutput,
    TargetState,
    TargetStateProvider,
    declare_target_state,
    declare_target_state_with_child,
    register_root_target_states_provider,
)
from liveproof.core.values import serialize_by_pickle, unpickle_safe
from liveproof.environment import (
    Environment,
    EnvironmentBuilder,
    LifespanFn,
    default_env,
    lifespan,
    runtime,
    start,
    start_blocking,
    stop,
    stop_blocking,
)
from liveproof.settings import Settings

__all__ = [
    "NON_EXISTENCE",
    "ROOT_PATH",
    "App",
    "AppConfig",
    "ChildTargetDef",
    "ComponentContext",
    "ComponentMountHandle",
    "ComponentStats",
    "ComponentSubpath",
    "ContextKey",
    "ContextProvider",
    "DropHandle",
    "Environment",
    "EnvironmentBuilder",
    "ExceptionContext",
    "ExceptionHandler",
    "LifespanFn",
    "LiveComponent",
    "LiveComponentOperator",
    "LiveMapFeed",
    "LiveMapSubscriber",
    "LiveMapView",
    "MaybePendingS",
    "MemoStateOutcome",
    "NonExistenceType",
    "NotMemoKeyable",
    "PendingS",
    "PendingTargetStateProvider",
    "ResolvedS",
    "Settings",
    "SingleWatcherGuard",
    "StableKey",
    "StablePath",
    "Symbol",
    "TargetActionSink",
    "TargetHandler",
    "TargetReconcileOutput",
    "TargetState",
    "TargetStateProvider",
    "UpdateHandle",
    "UpdateSnapshot",
    "UpdateStats",
    "UpdateStatus",
    "auto_refresh",
    "component_subpath",
    "declare_target_state",
    "declare_target_state_with_child",
    "default_env",
    "exception_handler",
    "fn",
    "get_component_context",
    "is_non_existence",
    "lifespan",
    "map",
    "memo_fingerprint",
    "mount",
    "mount_each",
    "mount_target",
    "register_memo_key_function",
    "register_not_memo_keyable",
    "register_root_target_states_provider",
    "runtime",
    "serialize_by_pickle",
    "start",
    "start_blocking",
    "stop",
    "stop_blocking",
    "unpickle_safe",
    "unregister_memo_key_function",
    "use_context",
    "use_mount",
]
