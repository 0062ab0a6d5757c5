package haproxy

import (
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// ServerStat is how a server is doing.
type ServerStat struct {
	Health lbapi.Health
	// For is how long it has been so.
	For      time.Duration
	Sessions int64
	// Message is the last failure of its check.
	Message string
	// Mute tells that it accepted the connection of its last check, and never answered on
	// it.
	Mute bool
	// Silent tells that its last check heard nothing from it, not even that nobody
	// listens there.
	Silent bool
}

// parseStat reads the answer to "show stat", of servers alone.
func parseStat(text string) (map[ID]ServerStat, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimLeft(text, "\n"), "# ")))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("statistics of HAProxy are not a table: %w", err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	needed := []string{"pxname", "svname", "scur", "status", "lastchg", "check_status", "last_chk", "check_desc"}
	for _, name := range needed {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("statistics of HAProxy have no column %s", name)
		}
	}
	stats := map[ID]ServerStat{}
	for _, row := range rows[1:] {
		if len(row) < len(rows[0])-1 {
			continue
		}
		get := func(name string) string { return row[column[name]] }
		check := strings.TrimPrefix(get("check_status"), "* ")
		s := ServerStat{Health: healthOf(get("status"), check), Silent: isSilent(check, get("last_chk")), Mute: isMute(check)}
		s.Sessions, _ = strconv.ParseInt(get("scur"), 10, 64)
		if seconds, err := strconv.ParseInt(get("lastchg"), 10, 64); err == nil && seconds > 0 {
			s.For = time.Duration(seconds) * time.Second
		}
		if s.Health == lbapi.HealthDown {
			said := slices.DeleteFunc([]string{get("check_desc"), get("last_chk")}, func(s string) bool { return s == "" })
			s.Message = daemon.Shortened(strings.Join(said, ": "))
		}
		stats[ID{Backend: get("pxname"), Name: get("svname")}] = s
	}
	return stats, nil
}

// healthOf reads statuses such as "UP 1/2". A server that no check has asked yet
// is taken to be up by HAProxy, and is unknown to us.
func healthOf(status, check string) lbapi.Health {
	word, _, _ := strings.Cut(status, " ")
	switch word {
	case "UP", "DRAIN", "NOLB":
		if check == "INI" || check == "UNK" || check == "" {
			return lbapi.HealthUnknown
		}
		return lbapi.HealthUp
	case "DOWN":
		if check == "INI" || check == "UNK" || check == "" {
			return lbapi.HealthUnknown
		}
		return lbapi.HealthDown
	default:
		return lbapi.HealthUnknown
	}
}

// isSilent reads the result of a check. One that could not connect has heard something
// if it was refused.
func isSilent(check, said string) bool {
	return check == "L4TOUT" || check == "L4CON" && said != "Connection refused"
}

func isMute(check string) bool { return check == "L6TOUT" || check == "L7TOUT" }

// Hears tells whether anything was heard from any server at its last check, which is
// taken to be so where none was checked.
func Hears(ctx context.Context, path string) (bool, error) {
	answer, err := socket(path).ask(ctx, statCommand...)
	if err != nil {
		return false, err
	}
	stats, err := parseStat(answer)
	if err != nil {
		return false, err
	}
	for _, s := range stats {
		if !s.Silent {
			return true, nil
		}
	}
	return len(stats) == 0, nil
}
