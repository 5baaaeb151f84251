# Facet. `make demo` shows it, `make check` proves it, `make help` lists the rest.
#
# A room is a folder; its sources are found by wildcard, so a new file needs no line here. Objects
# and generated code go below $(BUILD). Sources named *_avx512.c and *_avx2.c are built for that
# instruction set and only ever called after asking the processor.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
VERSION := 0.1.0
Q       := $(if $(V),,@)

CPPFLAGS += -D_GNU_SOURCE -DFACET_VERSION='"$(VERSION)"' -DFACET_LIBEXECDIR='"$(PREFIX)/libexec/facet"' \
            -I. -I$(BUILD)/gen
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -fPIC -Wall -Wextra -Werror -ffp-contract=off -fno-math-errno -pthread
LDFLAGS  += -pthread
ifdef SAN
CFLAGS   += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=$(SAN)
endif

# ---- what there is ---------------------------------------------------------------------------
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(addsuffix /*.c,$(1))))

ROOM_kernels  := $(call objects,kernels kernels/ref kernels/cpu)
ROOM_proto    := $(call objects,proto) $(BUILD)/obj/gen/facet.pb-c.o $(BUILD)/obj/gen/model.pb-c.o
ROOM_hls      := $(call objects,hls)
ROOM_device   := $(call objects,daemon/device boards/virtual) $(BUILD)/obj/gen/opencl_source.o
ROOM_front    := $(filter-out %/main.o,$(call objects,boards/virtual/front))
ROOM_daemon   := $(call objects,daemon/net daemon/job daemon/gallery daemon/model)
ROOM_libfacet := $(call objects,host/libfacet)
ROOM_face     := $(call objects,host/face)
ROOM_compile  := $(call objects,host/compile) $(BUILD)/obj/gen/onnx.pb-c.o
ROOM_facetctl := $(call objects,host/facetctl)
ROOM_boardmodel := $(call objects,boards/model)
ROOM_bringup  := $(call objects,boards/bringup)
ROOM_driver   := $(BUILD)/obj/driver/facet_validate.o # what of the kernel driver runs in userspace too
ROOMS         := hls boardmodel bringup driver kernels proto device front daemon libfacet face compile facetctl

HELPERS  := $(patsubst daemon/helper/%.c,$(BUILD)/facet-%,$(wildcard daemon/helper/*.c))
PROGRAMS := $(BUILD)/facetd $(BUILD)/facetctl $(BUILD)/facet-board $(HELPERS)
LIBS     := $(BUILD)/libfacet.so $(BUILD)/libfacet-face.so

lib = $(foreach r,$(1),$(BUILD)/lib$(r)-room.a)
LIBS_daemon := -llmdb -lsodium -lsystemd -linih -lprotobuf-c -ldrm -lOpenCL -lm
LIBS_host   := -lprotobuf-c -lsodium -ljpeg -lpng -lexif -ljson-c -lm

.PHONY: all demo check check-long check-asan check-tsan bench format lint install deps clean help
.DEFAULT_GOAL := all
all: $(PROGRAMS) $(LIBS)

help:
	@echo "make all | driver | install-driver | demo | check | check-ROOM | check-asan | check-tsan | check-kasan | check-long | bench | bench-driver | lint | lint-driver | format | install | deps | vm-kernel | vm-module | clean"
	@echo "rooms: $(TEST_ROOMS)"

# ---- rules -----------------------------------------------------------------------------------
$(BUILD)/obj/%_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mf16c -mprefer-vector-width=512
$(BUILD)/obj/%_avx2.o:   CFLAGS += -mavx2 -mf16c
$(addprefix $(BUILD)/obj/daemon/device/,drm.o drm_node.o drm_memory.o drm_direct.o drm_call.o): CPPFLAGS += -I/usr/include/libdrm

# As Kbuild has it, so that the driver's sources name the shell's headers in one way.
$(ROOM_driver) $(call objects,tests/driver) $(addprefix $(BUILD)/obj/tests/fuzz/,fuzz_validate.o seeds.o): CPPFLAGS += -Iboards

# Run for every template that is enrolled or loaded.
$(addprefix $(BUILD)/obj/,kernels/ref/quantize.o kernels/search_rows.o daemon/gallery/rows.o): CFLAGS += -O3

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),,echo '  CC   $<')
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -Wno-unused-parameter -MMD -MP -c $< -o $@

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h &: proto/%.proto
	@mkdir -p $(BUILD)/gen
	$(Q)protoc-c --proto_path=proto --c_out=$(BUILD)/gen $<

# The OpenCL kernels, as text in the program.
$(BUILD)/gen/opencl_source.c: tools/embed-opencl $(wildcard kernels/opencl/*)
	@mkdir -p $(BUILD)/gen
	$(Q)tools/embed-opencl >$@

# facet.ko for the running kernel, or for KDIR. Needs that kernel's headers (linux-headers-amd64).
KDIR ?= /lib/modules/$(shell uname -r)/build
.PHONY: driver
driver:
	@[ -e $(KDIR)/Makefile ] || { echo "no headers in $(KDIR); name another folder: make driver KDIR=/usr/src/linux-headers-..."; exit 1; }
	$(Q)driver/build $(KDIR) $(BUILD)/driver/module
	@echo "  built $(BUILD)/driver/module/facet.ko"

# The kernels of boards, once for the virtual board and once a card: its header is written from its
# board file. Their pragmas are for another compiler.
CARDS := $(patsubst boards/%/board.ini,%,$(wildcard boards/*/board.ini))
$(BUILD)/gen/hls/%.h: boards/%/board.ini hls/package/board-header
	@mkdir -p $(@D)
	$(Q)hls/package/board-header $< >$@.new && mv $@.new $@
HLS_CFLAGS := -O3 -Wno-unknown-pragmas
$(BUILD)/obj/hls/%.o: CFLAGS += $(HLS_CFLAGS)
$(BUILD)/obj/hls/%.o $(BUILD)/obj/tests/hls/%.o: CPPFLAGS += -DHLS_BOARD='"hls/virtual.h"'
$(ROOM_hls): | $(BUILD)/gen/hls/virtual.h
define hls_card
$(BUILD)/obj/hls-$(1)/%.o: hls/%.c | $(BUILD)/gen/hls/$(1).h
	@mkdir -p $$(@D)
	$(Q)$$(CC) $$(CPPFLAGS) -DHLS_BOARD='"hls/$(1).h"' $$(CFLAGS) $$(HLS_CFLAGS) -MMD -MP -c $$< -o $$@
endef
$(foreach c,$(CARDS),$(eval $(call hls_card,$(c))))

# The schema of ONNX is Debian's; nothing of it is kept here.
ONNX_DIR := $(firstword $(wildcard /usr/include/onnx /usr/include/onnx/onnx))
$(BUILD)/gen/onnx.pb-c.c $(BUILD)/gen/onnx.pb-c.h &: $(ONNX_DIR)/onnx.proto
	@mkdir -p $(BUILD)/gen
	$(Q)protoc-c --proto_path=$(ONNX_DIR) --c_out=$(BUILD)/gen $<

GENERATED := $(foreach m,facet model onnx,$(BUILD)/gen/$(m).pb-c.h)
$(filter-out $(BUILD)/obj/gen/%,$(foreach r,proto daemon libfacet face compile facetctl,$(ROOM_$(r)))): | $(GENERATED)

define room_archive
$(BUILD)/lib$(1)-room.a: $(ROOM_$(1))
	@mkdir -p $(BUILD)
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_archive,$(r))))

$(BUILD)/facetd: $(BUILD)/obj/daemon/main.o $(call lib,daemon device kernels proto)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS_daemon) -o $@
$(BUILD)/obj/daemon/main.o: | $(GENERATED)

$(BUILD)/facet-%: $(BUILD)/obj/daemon/helper/%.o $(call lib,daemon device kernels proto)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS_daemon) -o $@

# The virtual board on the bus of a virtual machine.
$(BUILD)/facet-board: $(BUILD)/obj/boards/virtual/front/main.o $(call lib,front device kernels)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ -ldrm -lOpenCL -lm -o $@

$(BUILD)/libfacet.so: $(ROOM_libfacet) $(call lib,proto) host/libfacet/libfacet.map
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libfacet.so.0 -Wl,--version-script=host/libfacet/libfacet.map \
		$(ROOM_libfacet) $(call lib,proto) -lprotobuf-c -lsodium -o $@
	@ln -sf libfacet.so $(BUILD)/libfacet.so.0

$(BUILD)/libfacet-face.so: $(ROOM_face) $(BUILD)/libfacet.so host/face/libfacet-face.map
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,libfacet-face.so.0 -Wl,--version-script=host/face/libfacet-face.map $(ROOM_face) -L$(BUILD) -lfacet \
		-ljpeg -lpng -lexif -lm -o $@
	@ln -sf libfacet-face.so $(BUILD)/libfacet-face.so.0

$(BUILD)/facetctl: $(call lib,facetctl face compile libfacet boardmodel bringup device kernels proto)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS_host) -ldrm -lOpenCL -o $@

# The demo's own tools; the machine's limits are measured as the benches do.
$(BUILD)/demo-tool: $(call objects,demo) $(BUILD)/obj/tests/bench/limits.o $(call lib,face libfacet proto)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS_host) -o $@

# ---- tests: tests/ROOM/test_*.c are Check programs, tests/ROOM/test_*.sh are scripts ------------
TEST_ROOMS := kernels hls proto device driver rtl vm gallery model daemon libfacet face compile facetctl e2e
test_programs = $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/$(1)/test_*.c))
test_scripts  = $(wildcard tests/$(1)/test_*.sh)

USES_kernels  := kernels
USES_proto    := proto
USES_hls      := hls kernels
USES_device   := device kernels
USES_driver   := driver device kernels
USES_rtl      := boardmodel kernels
USES_vm       := front device kernels
USES_gallery  := daemon device kernels proto
USES_model    := daemon device kernels proto
USES_daemon   := daemon device kernels proto
USES_libfacet := libfacet proto
USES_face     := face libfacet proto
USES_compile  := compile kernels proto
USES_facetctl := facetctl face compile libfacet boardmodel bringup device kernels proto
USES_e2e      := libfacet proto

define test_room
$(BUILD)/tests/$(1)/test_%: $(BUILD)/obj/tests/$(1)/test_%.o $(patsubst tests/%.c,$(BUILD)/obj/tests/%.o,$(filter-out tests/$(1)/test_%.c,$(wildcard tests/$(1)/*.c))) $(call lib,$(USES_$(1)))
	@mkdir -p $$(@D)
	$(Q)$$(CC) $$(LDFLAGS) -Wl,--start-group $$^ -Wl,--end-group -lcheck -lsubunit -lrt $$(LIBS_daemon) $$(LIBS_host) -o $$@
$(patsubst tests/%.c,$(BUILD)/obj/tests/%.o,$(wildcard tests/$(1)/*.c)): | $(GENERATED)
.PHONY: check-$(1) tests-$(1)
tests-$(1): $(call test_programs,$(1))
check-$(1): tests-$(1) $(if $(call test_scripts,$(1)),all)
	@BUILD=$(BUILD) tests/run $(1)
endef
$(foreach r,$(TEST_ROOMS),$(eval $(call test_room,$(r))))

# They start these, and a fault may be seeded there.
$(call test_programs,e2e): | $(PROGRAMS)
$(call test_programs,device): | $(HELPERS)

# Networks and what they mean, as the tests of models have them.
$(BUILD)/tests/e2e/test_models: $(addprefix $(BUILD)/obj/tests/model/,fct.o interpret.o) $(call lib,kernels)

$(addprefix $(BUILD)/tests/e2e/,test_flips test_host_copy test_raw test_rounds): $(BUILD)/obj/tests/kernels/fixture.o $(call lib,kernels)

# The search core: Verilog made C++ by Verilator, with its clock and memory. Only where Verilator is;
# the scripts of tests/rtl ask for the test program.
RTL_DIR := $(BUILD)/rtl
VERILATOR_ROOT ?= $(firstword $(wildcard /usr/local/share/verilator /usr/share/verilator))
$(RTL_DIR)/Vsearch_core.mk: $(wildcard hls/rtl/*.v)
	@mkdir -p $(@D)
	@$(if $(V),,echo '  RTL  hls/rtl/search_core.v')
	$(Q)verilator --cc -O3 --x-assign unique --x-initial unique --prefix Vsearch_core --Mdir $(@D) \
		-y hls/rtl --top-module search_core hls/rtl/search_core.v
$(BUILD)/librtl-core.a: $(RTL_DIR)/Vsearch_core.mk hls/rtl/sim/core.cpp hls/rtl/sim/core.h
	$(Q)$(MAKE) -s -C $(RTL_DIR) -f Vsearch_core.mk OPT_FAST=-O2 OPT_SLOW=-O1 OPT_GLOBAL=-O2 \
		CFG_CXXFLAGS_PCH_I= Vsearch_core__ALL.a verilated.o verilated_threads.o >/dev/null
	$(Q)$(CXX) -std=gnu++17 -O2 -g -Wall -Wextra -Werror -fPIC -I. -isystem $(RTL_DIR) \
		-isystem $(VERILATOR_ROOT)/include -isystem $(VERILATOR_ROOT)/include/vltstd \
		-c hls/rtl/sim/core.cpp -o $(RTL_DIR)/core.o
	@rm -f $@
	$(Q)cp $(RTL_DIR)/Vsearch_core__ALL.a $@ && ar rs $@ $(RTL_DIR)/core.o $(RTL_DIR)/verilated.o $(RTL_DIR)/verilated_threads.o 2>/dev/null
$(BUILD)/tests/rtl/%_test: $(BUILD)/obj/tests/rtl/%_test.o $(BUILD)/obj/tests/rtl/rig.o $(BUILD)/obj/tests/kernels/fixture.o $(BUILD)/librtl-core.a $(call lib,$(USES_rtl))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lcheck -lsubunit -lrt -lstdc++ -lm -o $@

# Random operands, galleries and oracles are those of the kernels' tests.
HLS_TEST_PARTS := $(addprefix $(BUILD)/obj/tests/kernels/,fixture.o search_world.o)
$(call test_programs,hls): $(HLS_TEST_PARTS)
$(BUILD)/obj/tests/hls/%.o: CFLAGS += -Wno-unknown-pragmas
$(patsubst tests/%.c,$(BUILD)/obj/tests/%.o,$(wildcard tests/hls/*.c)): | $(BUILD)/gen/hls/virtual.h
# The same tests on the kernels of each card, run by tests/hls/test_cards.sh.
HLS_CARD_TESTS := $(foreach c,$(filter-out virtual,$(CARDS)),$(patsubst tests/hls/%.c,$(BUILD)/tests/hls-$(c)/%,$(wildcard tests/hls/test_*.c)))
tests-hls: $(HLS_CARD_TESTS)
define hls_card_tests
$(BUILD)/obj/tests/hls-$(1)/%.o: tests/hls/%.c | $(BUILD)/gen/hls/$(1).h
	@mkdir -p $$(@D)
	$(Q)$$(CC) $$(CPPFLAGS) -DHLS_BOARD='"hls/$(1).h"' $$(CFLAGS) -Wno-unknown-pragmas -MMD -MP -c $$< -o $$@
$(BUILD)/tests/hls-$(1)/test_%: $(BUILD)/obj/tests/hls-$(1)/test_%.o $(HLS_TEST_PARTS) $(patsubst hls/%.c,$(BUILD)/obj/hls-$(1)/%.o,$(wildcard hls/*.c)) $(call lib,kernels)
	@mkdir -p $$(@D)
	$(Q)$$(CC) $$(LDFLAGS) $$^ -lcheck -lsubunit -lrt -lm -o $$@
endef
$(foreach c,$(filter-out virtual,$(CARDS)),$(eval $(call hls_card_tests,$(c))))

# What runs in the guests of tests/vm, on the driver's node.
VM_GUESTS := $(patsubst tests/vm/guest/%.c,$(BUILD)/tests/vm/guest/%,$(filter-out tests/vm/guest/node.c,$(wildcard tests/vm/guest/*.c)))
tests-vm: $(VM_GUESTS) $(call test_programs,device)
$(call objects,tests/vm/guest): CPPFLAGS += -I/usr/include/libdrm
$(BUILD)/obj/tests/vm/guest/fuzz.o: CPPFLAGS += -Iboards
$(BUILD)/tests/vm/guest/fuzz: $(BUILD)/obj/tests/driver/cases.o
$(BUILD)/tests/vm/guest/%: $(BUILD)/obj/tests/vm/guest/%.o $(BUILD)/obj/tests/vm/guest/node.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lcheck -lsubunit -lrt -lm -o $@

# An OpenCL driver that crashes.
tests-device: $(BUILD)/tests/device/tools/crash_icd.so $(BUILD)/facet-opencl-probe
$(BUILD)/tests/device/tools/crash_icd.so: $(BUILD)/obj/tests/device/tools/crash_icd.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -shared $^ -o $@

# Flipped accumulators: a backend of OpenCL whose kernels are built with the fault in them.
FLIP_PARTS := $(patsubst %.c,$(BUILD)/obj/flip/%.o,tests/device/test_flip.c $(wildcard daemon/device/opencl*.c))
$(BUILD)/obj/flip/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DFACET_FLIP $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/tests/device/test_flip: $(FLIP_PARTS) $(BUILD)/obj/tests/device/rig.o $(call lib,$(USES_device))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lcheck -lsubunit -lrt $(LIBS_daemon) $(LIBS_host) -o $@

# The gallery's own tools: loss of power (a preload library, a driver with and without syncs, the
# replay) and the rate of enrolment.
GALLERY_TOOLS := $(BUILD)/tests/gallery/tools
tests-gallery: $(addprefix $(GALLERY_TOOLS)/,powershim.so power_driver power_driver_nosync power_replay enrol_bench) $(BUILD)/facet-gallery-check
$(GALLERY_TOOLS)/%: $(BUILD)/obj/tests/gallery/tools/%.o $(BUILD)/obj/tests/gallery/fixture.o $(call lib,$(USES_gallery))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lcheck -lsubunit -lrt $(LIBS_daemon) -o $@
$(GALLERY_TOOLS)/power_driver_nosync: $(BUILD)/obj/tests/gallery/tools/power_driver.o $(BUILD)/obj/tests/gallery/tools/store_nosync.o $(BUILD)/obj/tests/gallery/fixture.o $(call lib,$(USES_gallery))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lcheck -lsubunit -lrt $(LIBS_daemon) -o $@
$(GALLERY_TOOLS)/powershim.so: $(BUILD)/obj/tests/gallery/tools/powershim.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -shared $^ -o $@
$(BUILD)/obj/tests/gallery/tools/store_nosync.o: daemon/gallery/store.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -DSTORE_ENV_FLAGS=MDB_NOSYNC -MMD -MP -c $< -o $@

# ---- benches: tests/bench/bench_*.c are programs over the kernels; the other files are theirs -----
# oneDNN is bench_conv's peer where it is installed.
LIBS_bench := $(if $(wildcard /usr/include/dnnl.h),-ldnnl) -lm
BENCH_PARTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/bench/bench_%.c,$(wildcard tests/bench/*.c)))
.PHONY: bench-programs
bench-programs: $(patsubst tests/%.c,$(BUILD)/%,$(wildcard tests/bench/bench_*.c))
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(BENCH_PARTS) $(call lib,kernels)
	@mkdir -p $(@D)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS_bench) -o $@
$(BUILD)/bench/bench_search: $(BUILD)/obj/daemon/device/host_memory.o
$(BUILD)/bench/bench_opencl: $(BUILD)/obj/tests/bench/bench_opencl.o $(BUILD)/obj/tests/bench/limits.o $(call lib,device kernels)
	@mkdir -p $(@D)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS_daemon) -o $@
$(BUILD)/bench/bench_model: $(BUILD)/obj/tests/bench/bench_model.o $(call lib,daemon device kernels proto)
	@mkdir -p $(@D)
	@$(if $(V),,echo '  LINK $@')
	$(Q)$(CC) $(LDFLAGS) $^ $(LIBS_daemon) -o $@

# ---- fuzzing: tests/fuzz/fuzz_*.c are libFuzzer targets; a second make builds what they need with
# clang. The kernels are GCC's in any case: clang 14 lacks some of their builtins.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
.PHONY: fuzz fuzz-build fuzz-link
ifdef FUZZ_PLAIN
CFLAGS += -w
fuzz-link: $(addprefix $(BUILD)/../,$(FUZZ_TARGETS))
$(BUILD)/../fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(call objects,daemon/model) $(BUILD)/obj/tests/driver/cases.o $(BUILD)/obj/tests/driver/oracle.o $(call lib,compile driver face libfacet proto)
	@$(if $(V),,echo '  LINK $@')
	$(Q)clang -pthread -fsanitize=fuzzer,address $^ $(FUZZ_PLAIN) $(LIBS_daemon) $(LIBS_host) -o $@
endif
$(patsubst tests/%.c,$(BUILD)/obj/tests/%.o,$(wildcard tests/fuzz/*.c)): | $(GENERATED)
$(BUILD)/fuzz/seeds: $(BUILD)/obj/tests/fuzz/seeds.o $(BUILD)/obj/tests/driver/cases.o $(call lib,proto)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -lprotobuf-c -o $@
fuzz-build: $(BUILD)/fuzz/seeds $(call lib,device kernels)
	+@if command -v clang >/dev/null; then CFLAGS="-O1 -g" $(MAKE) --no-print-directory CC=clang \
		BUILD=$(BUILD)/fuzz/rooms SAN=fuzzer-no-link,address FUZZ_PLAIN="$(call lib,device kernels)" fuzz-link; \
	else echo "  skip  $(FUZZ_TARGETS): clang is missing"; fi
fuzz: fuzz-build
	@BUILD=$(BUILD) tests/fuzz/run; status=$$?; [ $$status = 77 ] || exit $$status

# ---- what a person asks for --------------------------------------------------------------------
JOBS ?= $(shell nproc)

deps:
	@tools/deps build check

# Packages may have been installed just now, so the real work is done by a second make.
demo:
	@tools/deps build && tools/deps --optional demo
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/demo-tool
	@BUILD=$(BUILD) demo/run

check:
	@tools/deps build && tools/deps --optional check
	@BUILD=$(BUILD) JOBS=$(JOBS) tests/run

check-build: all $(foreach r,$(TEST_ROOMS),tests-$(r))

check-long:
	@$(MAKE) --no-print-directory -j$(JOBS) check-build
	@BUILD=$(BUILD) JOBS=$(JOBS) FACET_LONG=1 tests/run

# The same tests under AddressSanitizer and UndefinedBehaviorSanitizer.
check-asan:
	@tools/deps build check
	@BUILD=$(BUILD)/asan JOBS=$(JOBS) SAN=address,undefined tests/run kernels hls proto device driver gallery model daemon libfacet face compile facetctl

# And under ThreadSanitizer; what it says of libraries that were not built for it is in tests/tsan.supp.
check-tsan:
	@tools/deps build check
	@BUILD=$(BUILD)/tsan JOBS=$(JOBS) SAN=thread TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.supp" tests/run device gallery model daemon libfacet

bench: all bench-programs
	@BUILD=$(BUILD) tests/bench/run

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

lint:
	@tools/lint

# What `facetctl device virtual` boots; `make check` builds them too.
.PHONY: lint-driver
lint-driver:
	@BUILD=$(BUILD) tools/lint-driver

# The driver under a kernel with two processors and everything that finds faults; builds that kernel.
.PHONY: check-kasan
check-kasan:
	@tools/deps build check
	@$(MAKE) --no-print-directory -j$(JOBS) all tests-vm
	@BUILD=$(BUILD) tests/vm/check-kasan

# An empty job through the driver, with the model's own share.
.PHONY: bench-driver
bench-driver:
	@tools/deps build check
	@$(MAKE) --no-print-directory -j$(JOBS) all tests-vm
	@BUILD=$(BUILD) tests/vm/latency

.PHONY: vm-kernel vm-module
vm-kernel:
	@tools/deps --optional check
	@tests/vm/build-kernel uml >/dev/null
vm-module: vm-kernel
	@test -x driver/build || { echo "vm-module: this tree has no driver/build yet"; exit 1; }
	@driver/build "$$(tests/vm/build-kernel uml)" $(BUILD)/driver/uml ARCH=um

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/libexec/facet \
		$(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/facet \
		$(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man3 $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/doc/facet
	install -m 755 $(BUILD)/facetctl $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(BUILD)/facetd $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(HELPERS) $(DESTDIR)$(PREFIX)/libexec/facet/
	for l in libfacet libfacet-face; do \
		install -m 755 $(BUILD)/$$l.so $(DESTDIR)$(PREFIX)/lib/$$l.so.0 && \
		ln -sf $$l.so.0 $(DESTDIR)$(PREFIX)/lib/$$l.so; done
	install -m 644 host/libfacet/facet.h host/face/face.h $(DESTDIR)$(PREFIX)/include/facet/
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' host/face/facet-face.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/facet-face.pc
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' host/libfacet/facet.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/facet.pc
	for u in daemon/systemd/*; do \
		sed 's|@PREFIX@|$(PREFIX)|' $$u >$(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$u); done
	install -m 644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 man/*.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	install -m 644 man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 docs/*.md docs/facetd.conf.example $(DESTDIR)$(PREFIX)/share/doc/facet/

# The driver's sources for DKMS, and the rule that gives its nodes to the group facet.
.PHONY: install-driver
DKMS_DIR := $(DESTDIR)/usr/src/facet-$(VERSION)
install-driver:
	install -d $(DKMS_DIR)/probes $(DKMS_DIR)/uapi $(DKMS_DIR)/shell $(DESTDIR)/lib/udev/rules.d
	install -m 644 driver/*.[ch] driver/Kbuild $(DKMS_DIR)/
	install -m 755 driver/build $(DKMS_DIR)/
	install -m 644 driver/probes/*.c $(DKMS_DIR)/probes/
	install -m 644 driver/uapi/*.h $(DKMS_DIR)/uapi/
	install -m 644 boards/shell/*.h $(DKMS_DIR)/shell/
	sed 's|@VERSION@|$(VERSION)|' driver/dkms.conf >$(DKMS_DIR)/dkms.conf
	install -m 644 driver/70-facet.rules $(DESTDIR)/lib/udev/rules.d/

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
.SECONDARY:
