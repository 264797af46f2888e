"""Schemas: the event and its contract. Pure: no I/O but the package's own files, no clock, nothing else of ours.

Promises: an event loses nothing of its item; what cannot be an event is poison with its place and reason; every
released schema stays readable; a change of a schema that would break a reader is refused by the name of the field.

Import names from their modules:

* ``change`` (Change, Source, Op, Image), ``version``, ``control``, ``position``: the values;
* ``codec`` (ChangeCodec, Depth), ``headers``, ``key``, ``framing``: values to bytes and back;
* ``images``, ``scalars``, ``attributes``, ``numbers``, ``unions``, ``events``: how the codec is compiled from a schema;
* ``bundled``, ``released``, ``compose``, ``evolution``, ``resolution``: schemas, their history, the gate;
* ``errors``, ``settings``: what every layer derives its own from.
"""

__all__: list[str] = []
