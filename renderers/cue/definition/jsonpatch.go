package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const mostOperations = 100 // of a JSON patch, as for the trait that is built in

// simple is plain data without raw parts; numbers stay as they are written.
func simple(data any) any {
	text, _ := json.Marshal(data)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var found any
	_ = decoder.Decode(&found)
	return found
}

// jsonMerged is RFC 7396: null takes a field away.
func jsonMerged(object, patch any) any {
	changes, is := patch.(map[string]any)
	if !is {
		return patch
	}
	fields, is := object.(map[string]any)
	if !is {
		fields = map[string]any{}
	}
	for name, change := range changes {
		if change == nil {
			delete(fields, name)
		} else {
			fields[name] = jsonMerged(fields[name], change)
		}
	}
	return fields
}

// jsonPatched is RFC 6902.
func jsonPatched(object, patch any) (any, error) {
	operations, is := patch.([]any)
	if !is {
		return nil, errors.New("operations must be a list")
	}
	if len(operations) > mostOperations {
		return nil, fmt.Errorf("more than %d operations", mostOperations)
	}
	for index, each := range operations {
		operation, _ := each.(map[string]any)
		made, err := operate(object, operation)
		if err != nil {
			return nil, fmt.Errorf("operations[%d]: %w", index, err)
		}
		object = made
	}
	return object, nil
}

func operate(object any, operation map[string]any) (any, error) {
	path, err := pointer(operation, "path")
	if err != nil {
		return nil, err
	}
	switch name := word(operation, "op"); name {
	case "add", "replace", "test":
		value, is := operation["value"]
		if !is {
			return nil, fmt.Errorf("%s needs a value", name)
		}
		if name == "test" {
			found, err := find(object, path)
			if err == nil && !reflect.DeepEqual(found, value) {
				err = fmt.Errorf("%s is another value", word(operation, "path"))
			}
			return object, err
		}
		return change(object, path, name, value)
	case "remove":
		return change(object, path, name, nil)
	case "copy", "move":
		from, err := pointer(operation, "from")
		if err != nil {
			return nil, err
		}
		found, err := find(object, from)
		if err != nil {
			return nil, err
		}
		found = simple(found)
		if name == "move" {
			if object, err = change(object, from, "remove", nil); err != nil {
				return nil, err
			}
		}
		return change(object, path, "add", found)
	default:
		return nil, fmt.Errorf("there is no operation %q", name)
	}
}

// pointer is RFC 6901.
func pointer(operation map[string]any, field string) ([]string, error) {
	text, is := operation[field].(string)
	if !is || text != "" && !strings.HasPrefix(text, "/") {
		return nil, fmt.Errorf("%s must be a JSON pointer such as /spec/replicas", field)
	}
	parts := strings.Split(text, "/")[1:]
	for index, part := range parts {
		parts[index] = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

func find(object any, path []string) (any, error) {
	for _, part := range path {
		switch holder := object.(type) {
		case map[string]any:
			found, is := holder[part]
			if !is {
				return nil, fmt.Errorf("there is no %s", part)
			}
			object = found
		case []any:
			index, err := position(part, len(holder)-1)
			if err != nil {
				return nil, err
			}
			object = holder[index]
		default:
			return nil, fmt.Errorf("there is no %s", part)
		}
	}
	return object, nil
}

// change carries out add, replace or remove at a path, and answers what the object has become.
func change(object any, path []string, name string, value any) (any, error) {
	if len(path) == 0 {
		if name == "remove" {
			return nil, errors.New("the whole object can't be removed")
		}
		return value, nil
	}
	part := path[0]
	switch holder := object.(type) {
	case map[string]any:
		inside, is := holder[part]
		if !is && (len(path) > 1 || name != "add") {
			return nil, fmt.Errorf("there is no %s", part)
		}
		if len(path) == 1 && name == "remove" {
			delete(holder, part)
			return holder, nil
		}
		made, err := change(inside, path[1:], name, value)
		holder[part] = made
		return holder, err
	case []any:
		if len(path) == 1 && name == "add" {
			if part == "-" {
				return append(holder, value), nil
			}
			index, err := position(part, len(holder))
			if err != nil {
				return nil, err
			}
			return slices.Insert(holder, index, value), nil
		}
		index, err := position(part, len(holder)-1)
		if err != nil {
			return nil, err
		}
		if len(path) == 1 && name == "remove" {
			return slices.Delete(holder, index, index+1), nil
		}
		holder[index], err = change(holder[index], path[1:], name, value)
		return holder, err
	}
	return nil, fmt.Errorf("there is no %s", part)
}

func position(part string, last int) (int, error) {
	index, err := strconv.Atoi(part)
	if err != nil || index < 0 || index > last || part != strconv.Itoa(index) {
		return 0, fmt.Errorf("there is no item %s", part)
	}
	return index, nil
}
