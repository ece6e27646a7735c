package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Stream-optimised VMDK as VMware's "Virtual Disk Format 5.0" describes it: a header, a descriptor, and compressed
// grains behind markers, with the tables at the end.

const (
	sector        = 512
	grainSectors  = 128
	grainBytes    = grainSectors * sector
	grainsOfTable = 512
	overhead      = 128
	vmdkMagic     = 0x564d444b
	streamFlags   = 0x30001 // newline test, compressed grains, markers
	tablesAtEnd   = ^uint64(0)

	markEnd, markTable, markDirectory, markFooter = 0, 1, 2, 3

	seekData = 3 // lseek(2), SEEK_DATA: holes of a sparse file are never read
)

type sparseHeader struct {
	Magic, Version, Flags                        uint32
	Capacity, GrainSize                          uint64
	DescriptorOffset, DescriptorSize             uint64
	EntriesOfTable                               uint32
	SecondDirectory, Directory, Overhead         uint64
	Unclean, SingleEnd, NonEnd, DoubleA, DoubleB byte
	Compression                                  uint16
	Padding                                      [433]byte
}

func streamHeader(capacity int64, directory uint64) sparseHeader {
	return sparseHeader{
		Magic: vmdkMagic, Version: 3, Flags: streamFlags,
		Capacity: uint64(capacity / sector), GrainSize: grainSectors,
		DescriptorOffset: 1, DescriptorSize: 20, EntriesOfTable: grainsOfTable,
		Directory: directory, Overhead: overhead,
		SingleEnd: '\n', NonEnd: ' ', DoubleA: '\r', DoubleB: '\n', Compression: 1,
	}
}

func descriptor(kind, extent string) string {
	return fmt.Sprintf("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"%s\"\n\n"+
		"# Extent description\n%s\n\n# The Disk Data Base\nddb.adapterType = \"lsilogic\"\n"+
		"ddb.virtualHWVersion = \"13\"\n", kind, extent)
}

// streamWriter counts sectors, because markers and tables say where things are.
type streamWriter struct {
	out  *bufio.Writer
	at   uint64
	fail error
}

func (s *streamWriter) put(data []byte) {
	if s.fail != nil {
		return
	}
	padded := (len(data) + sector - 1) / sector * sector
	if _, s.fail = s.out.Write(data); s.fail == nil {
		_, s.fail = s.out.Write(make([]byte, padded-len(data)))
	}
	s.at += uint64(padded / sector)
}

func (s *streamWriter) values(values ...interface{}) {
	var data bytes.Buffer
	for _, value := range values {
		_ = binary.Write(&data, binary.LittleEndian, value)
	}
	s.put(data.Bytes())
}

func (s *streamWriter) mark(kind uint32, sectors uint64) {
	s.values(sectors, uint32(0), kind)
}

// writeStream writes a flat file as a stream-optimised VMDK. What the file lacks of the capacity is zeros.
func writeStream(to io.Writer, flat *os.File, capacity int64) error {
	s := &streamWriter{out: bufio.NewWriterSize(to, 1<<18)}
	s.values(streamHeader(capacity, tablesAtEnd))
	text := descriptor("streamOptimized", fmt.Sprintf("RDONLY %d SPARSE \"disk.vmdk\"", capacity/sector))
	s.put(append([]byte(text), make([]byte, 20*sector-len(text))...))
	s.put(make([]byte, (overhead-int(s.at))*sector))
	directory := s.grains(flat, capacity)
	s.mark(markDirectory, uint64(len(directory)*4+sector-1)/sector)
	where := s.at
	s.values(directory)
	s.mark(markFooter, 1)
	s.values(streamHeader(capacity, where))
	s.mark(markEnd, 0)
	if s.fail != nil {
		return s.fail
	}
	return s.out.Flush()
}

func (s *streamWriter) grains(flat *os.File, capacity int64) []uint32 {
	count := (capacity + grainBytes - 1) / grainBytes
	directory := make([]uint32, (count+grainsOfTable-1)/grainsOfTable)
	table, ofTable := make([]uint32, grainsOfTable), int64(-1)
	flush := func() {
		if ofTable >= 0 {
			s.mark(markTable, grainsOfTable*4/sector)
			directory[ofTable] = uint32(s.at)
			s.values(table)
			table = make([]uint32, grainsOfTable)
		}
	}
	data, empty := make([]byte, grainBytes), make([]byte, grainBytes)
	for grain := nextData(flat, 0); grain >= 0 && grain < count && s.fail == nil; grain = nextData(flat, grain+1) {
		for i := range data {
			data[i] = 0
		}
		if _, err := flat.ReadAt(data, grain*grainBytes); err != nil && err != io.EOF {
			s.fail = err
		}
		if bytes.Equal(data, empty) {
			continue
		}
		if grain/grainsOfTable != ofTable {
			flush()
			ofTable = grain / grainsOfTable
		}
		table[grain%grainsOfTable] = uint32(s.at)
		packed := deflated(data)
		s.values(uint64(grain*grainSectors), uint32(len(packed)), packed)
	}
	flush()
	return directory
}

// nextData is the first grain from `grain` on in which the file has data; -1 where there is none.
func nextData(flat *os.File, grain int64) int64 {
	at, err := syscall.Seek(int(flat.Fd()), grain*grainBytes, seekData)
	if err != nil {
		return -1
	}
	return at / grainBytes
}

func deflated(data []byte) []byte {
	var packed bytes.Buffer
	w, _ := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	_, _ = w.Write(data)
	_ = w.Close()
	return packed.Bytes()
}

// readStream writes the content of a stream-optimised VMDK into a flat file of the capacity; zeros become holes.
func readStream(from io.Reader, flat *os.File, capacity int64) error {
	in := bufio.NewReaderSize(from, 1<<18)
	var head sparseHeader
	if err := binary.Read(in, binary.LittleEndian, &head); err != nil {
		return err
	}
	if head.Magic != vmdkMagic || head.Flags&streamFlags != streamFlags || head.GrainSize != grainSectors {
		return errors.New("not a stream-optimised VMDK")
	}
	if int64(head.Capacity)*sector != capacity {
		return fmt.Errorf("its capacity is %d bytes, not %d", head.Capacity*sector, capacity)
	}
	if err := flat.Truncate(0); err != nil {
		return err
	}
	if err := flat.Truncate(capacity); err != nil {
		return err
	}
	if _, err := in.Discard(int(head.Overhead-1) * sector); err != nil {
		return err
	}
	for {
		more, err := readMarker(in, flat)
		if err != nil || !more {
			return err
		}
	}
}

// readMarker reads one marker and what belongs to it; false at the end. The end may be the file's, as qemu-img has it.
func readMarker(in *bufio.Reader, flat *os.File) (bool, error) {
	first := make([]byte, sector)
	if _, err := io.ReadFull(in, first); err != nil {
		if err == io.EOF {
			return false, nil
		}
		return false, err
	}
	value, size := binary.LittleEndian.Uint64(first), binary.LittleEndian.Uint32(first[8:])
	if size == 0 {
		if binary.LittleEndian.Uint32(first[12:]) == markEnd {
			_, err := io.Copy(io.Discard, in)
			return false, err
		}
		_, err := in.Discard(int(value) * sector)
		return true, err
	}
	packed := append([]byte{}, first[12:]...)
	if missing := int(size) - len(packed); missing > 0 {
		rest := make([]byte, (missing+sector-1)/sector*sector)
		if _, err := io.ReadFull(in, rest); err != nil {
			return false, err
		}
		packed = append(packed, rest...)
	}
	return true, inflateInto(flat, packed[:size], int64(value)*sector)
}

func inflateInto(flat *os.File, packed []byte, at int64) error {
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if bytes.Count(data, []byte{0}) == len(data) {
		return nil
	}
	_, err = flat.WriteAt(data, at)
	return err
}
