/*
 * xml - an XML reply as JSON, through libxml2.
 *
 * Elements become members, texts become strings; an element that repeats becomes an array. `member` and `item` children (the
 * AWS Query and EC2 list elements) are always an array, and their parent becomes that array:
 * <Rules><member><A>1</A></member></Rules> is {"Rules": [{"A": "1"}]}, and an empty <Rules/> is {"Rules": ""} - read lists by json_length.
 * Attributes and namespaces are dropped. No network, no entities, no DOCTYPE, at most XML_BYTES_MAX and XML_DEPTH_MAX: ERR_INVALID.
 */
#ifndef BERTH_BASE_XML_H
#define BERTH_BASE_XML_H

#include <stddef.h>

#include "core/base/json.h"

enum { XML_BYTES_MAX = 8 * 1024 * 1024, XML_DEPTH_MAX = 64 };

int xml_to_json(const char *bytes, size_t len, json_object **out, struct err *e);

#endif
