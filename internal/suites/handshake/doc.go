// Package handshake tests the upgrade across the whole gateway: everybody who looks
// at a request sees the same, and, as fuzz targets, no request and no Close frame
// confuses the gateway.
package handshake
