// Package handshake holds tests of the upgrade that span the whole gateway: that all
// who look at one request see the same, and, as fuzz targets, that no request and no
// Close frame confuses it.
package handshake
