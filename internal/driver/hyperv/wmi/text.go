package wmi

import (
	"encoding/xml"
	"errors"
	"fmt"
)

// maxText is the longest embedded instance that is read. A guest writes some of them.
const maxText = 1 << 20

// ParseText reads an embedded instance: its class, and its properties as strings or lists of strings.
func ParseText(text string) (class string, values Values, err error) {
	if len(text) > maxText {
		return "", nil, fmt.Errorf("an embedded instance of %d bytes is too long", len(text))
	}
	var instance struct {
		XMLName    xml.Name `xml:"INSTANCE"`
		Class      string   `xml:"CLASSNAME,attr"`
		Properties []struct {
			Name  string  `xml:"NAME,attr"`
			Value *string `xml:"VALUE"`
		} `xml:"PROPERTY"`
		Arrays []struct {
			Name   string   `xml:"NAME,attr"`
			Values []string `xml:"VALUE.ARRAY>VALUE"`
		} `xml:"PROPERTY.ARRAY"`
	}
	if err := xml.Unmarshal([]byte(text), &instance); err != nil {
		return "", nil, fmt.Errorf("read an embedded instance: %w", err)
	}
	if instance.Class == "" {
		return "", nil, errors.New("an embedded instance is of no class")
	}
	values = Values{}
	for _, p := range instance.Properties {
		if p.Value != nil {
			values[p.Name] = *p.Value
		}
	}
	for _, a := range instance.Arrays {
		list := []any{}
		for _, v := range a.Values {
			list = append(list, v)
		}
		values[a.Name] = list
	}
	return instance.Class, values, nil
}
