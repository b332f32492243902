"""The few messages of Envoy's discovery protocol that the lease needs.

They live in a descriptor pool of their own: the packages that carry all of Envoy's messages register them under the
same names in the default pool, and two registrations of one name are an error. A field that holds a message is
declared as bytes, which is the same on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory, struct_pb2

RUNTIME_TYPE = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"

_RESOURCE_TYPE = "type.googleapis.com/envoy.service.discovery.v3.Resource"
_PACKAGE = "trimtab.envoy.wire"
_Field = descriptor_pb2.FieldDescriptorProto


def _messages() -> dict[str, Any]:
    text, data = _Field.TYPE_STRING, _Field.TYPE_BYTES
    fields = {
        "DiscoveryRequest": [("version_info", 1, text), ("type_url", 4, text), ("response_nonce", 5, text)],
        "DiscoveryResponse": [
            ("version_info", 1, text),
            ("resources", 2, data),
            ("type_url", 4, text),
            ("nonce", 5, text),
        ],
        "Resource": [("version", 1, text), ("resource", 2, data), ("name", 3, text), ("ttl", 6, data)],
        "Runtime": [("name", 1, text), ("layer", 2, data)],
    }
    file = descriptor_pb2.FileDescriptorProto(name="trimtab/envoy/wire.proto", package=_PACKAGE, syntax="proto3")
    for message, members in fields.items():
        descriptor = file.message_type.add(name=message)
        for name, number, kind in members:
            label = _Field.LABEL_REPEATED if name == "resources" else _Field.LABEL_OPTIONAL
            descriptor.field.add(name=name, number=number, type=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in fields}


_MESSAGES = _messages()


def requested_type(request: bytes) -> str:
    """The type of resource that a DiscoveryRequest asks for (or acknowledges)."""
    type_url: str = _MESSAGES["DiscoveryRequest"].FromString(request).type_url
    return type_url


def runtime_response(layer: str, values: Mapping[str, int], ttl_s: float, version: str) -> bytes:
    """A DiscoveryResponse that sets the runtime layer to `values`; Envoy drops the whole layer after `ttl_s`."""
    content = struct_pb2.Struct()
    content.update(dict(values))
    runtime = _MESSAGES["Runtime"](name=layer, layer=content.SerializeToString())
    ttl = duration_pb2.Duration()
    ttl.FromNanoseconds(int(ttl_s * 1e9))
    resource = _MESSAGES["Resource"](
        name=layer, version=version, ttl=ttl.SerializeToString(), resource=_packed(RUNTIME_TYPE, runtime)
    )
    response = _MESSAGES["DiscoveryResponse"](
        version_info=version, type_url=RUNTIME_TYPE, nonce=version, resources=[_packed(_RESOURCE_TYPE, resource)]
    )
    encoded: bytes = response.SerializeToString()
    return encoded


def _packed(type_url: str, message: Any) -> bytes:
    return any_pb2.Any(type_url=type_url, value=message.SerializeToString()).SerializeToString()
