package webhook

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// inward are the networks that are not the public internet though no method of netip.Addr
// says so: the special-purpose registries of IANA (RFC 6890), and one address by which
// virtual machines reach their host's services.
var inward = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network
	netip.MustParsePrefix("100.64.0.0/10"),    // shared with a provider; metadata of some clouds
	netip.MustParsePrefix("168.63.129.16/32"), // services of the host, Azure
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation
	netip.MustParsePrefix("192.88.99.0/24"),   // relays from IPv6
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, and broadcast
	netip.MustParsePrefix("2001::/23"),        // protocol assignments, Teredo
	netip.MustParsePrefix("2001:db8::/32"),    // documentation
	netip.MustParsePrefix("2002::/16"),        // 6to4: an IPv4 address inside
	netip.MustParsePrefix("3fff::/20"),        // documentation
}

// global is where the public addresses of IPv6 are. Outside of it are, among others, the
// translations of IPv4 addresses.
var global = netip.MustParsePrefix("2000::/3")

// public reports whether an address is one of the public internet.
func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || (a.Is6() && !global.Contains(a)) {
		return false
	}
	return !slices.ContainsFunc(inward, func(p netip.Prefix) bool { return p.Contains(a) })
}

// guard refuses to dial addresses that are neither public nor allowed. It runs when the
// socket is made, with the address that will be connected to.
func guard(allowed []netip.Prefix) func(network, address string, _ syscall.RawConn) error {
	return func(network, address string, _ syscall.RawConn) error {
		if network != "tcp4" && network != "tcp6" {
			return fmt.Errorf("webhook: network %s is not TCP", network)
		}
		place, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("webhook: %w", err)
		}
		// An address with a zone is inside by its nature, and in no prefix.
		a := place.Addr().Unmap()
		if a.Zone() == "" && (public(a) || slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(a) })) {
			return nil
		}
		return fmt.Errorf("the address %s is not public, and PERENNIAL_WEBHOOK_ALLOW_CIDRS does not admit it", a)
	}
}
