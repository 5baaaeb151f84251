/* SPDX-License-Identifier: Apache-2.0 */
/* The core's clock and its memory. The one C++ file of the project: Verilator's models are C++. */
#include "hls/rtl/sim/core.h"

#include "Vsearch_core.h"
#include "verilated.h"

#include <array>
#include <cstring>
#include <deque>
#include <new>

namespace
{

struct burst {
	uint64_t addr, ready_at;
	uint32_t lines, done;
};

/* A channel's offer must stay as it is until it is taken. */
struct offer {
	bool open;
	uint64_t what[9];
};

} // namespace

struct core {
	VerilatedContext context;
	Vsearch_core *top;
	struct core_memory memory;
	struct core_counts counts;
	std::deque<burst> reads;
	std::deque<uint64_t> write_addr;
	std::deque<uint64_t> answers; /* when each may come; the lowest bit says that it failed */
	std::deque<std::array<uint8_t, CORE_LINE>> write_data;
	uint64_t random, tokens;
	offer ar, aw, w;
};

static void breach(struct core *core, const char *what)
{
	if (!core->counts.breaches++)
		core->counts.breach = what;
}

static bool refuses(struct core *core)
{
	core->random ^= core->random << 13;
	core->random ^= core->random >> 7;
	core->random ^= core->random << 17;
	return (core->random >> 24 & 255) < core->memory.refuse;
}

static bool refreshing(const struct core *core)
{
	const struct core_memory *m = &core->memory;

	return m->refresh_every && core->counts.clocks % m->refresh_every < m->refresh_clocks;
}

/* Was what stood on a channel withdrawn or changed before it was taken? */
static void watch(struct core *core, offer *o, bool valid, bool ready, const void *what, size_t n,
		  const char *name)
{
	uint64_t now[9] = {0};

	memcpy(now, what, n);
	if (o->open && (!valid || memcmp(now, o->what, sizeof(now))))
		breach(core, name);
	o->open = valid && !ready;
	memcpy(o->what, now, sizeof(now));
}

/* ---- reading ---- */

static void take_read(struct core *core)
{
	Vsearch_core *top = core->top;
	uint64_t bytes = (top->m_arlen + 1ull) * CORE_LINE;

	if (top->m_araddr % CORE_LINE)
		breach(core, "a read that is not of whole lines");
	if (top->m_araddr / 4096 != (top->m_araddr + bytes - 1) / 4096)
		breach(core, "a burst that crosses 4 KiB");
	core->reads.push_back(
		{top->m_araddr, core->counts.clocks + core->memory.latency, top->m_arlen + 1u, 0});
	core->counts.bursts++;
}

static uint64_t lines_open(const struct core *core)
{
	uint64_t n = 0;

	for (const burst &b : core->reads)
		n += b.lines - b.done;
	return n;
}

/* The line of this clock, if memory has one. */
static bool deliver(struct core *core)
{
	const struct core_memory *m = &core->memory;
	Vsearch_core *top = core->top;
	uint64_t deepest = 64ull * m->rate_den;

	if (!refreshing(core))
		core->tokens += m->rate_num;
	if (core->tokens > deepest)
		core->tokens = deepest;
	if (core->reads.empty() || refreshing(core) || core->tokens < m->rate_den || refuses(core))
		return false;
	burst &b = core->reads.front();
	if (core->counts.clocks < b.ready_at)
		return false;
	core->tokens -= m->rate_den;
	memset(&top->m_rdata, 0, CORE_LINE);
	top->m_rresp = m->read(m->context, b.addr + b.done * CORE_LINE, &top->m_rdata[0], CORE_LINE)
			       ? 2
			       : 0;
	core->counts.lines_read++;
	if (++b.done == b.lines)
		core->reads.pop_front();
	return true;
}

/* ---- writing ---- */

static void finish_writes(struct core *core)
{
	const struct core_memory *m = &core->memory;

	while (!core->write_addr.empty() && !core->write_data.empty()) {
		uint64_t addr = core->write_addr.front();
		bool bad = addr % CORE_LINE ||
			   m->write(m->context, addr, core->write_data.front().data(), CORE_LINE);

		core->write_addr.pop_front();
		core->write_data.pop_front();
		core->answers.push_back((core->counts.clocks + m->latency) << 1 | bad);
		core->counts.lines_written++;
	}
}

static void take_write_data(struct core *core)
{
	std::array<uint8_t, CORE_LINE> line;

	memcpy(line.data(), &core->top->m_wdata[0], CORE_LINE);
	core->write_data.push_back(line);
}

static bool answer(struct core *core)
{
	if (core->answers.empty() || core->counts.clocks < core->answers.front() >> 1 ||
	    refuses(core))
		return false;
	core->top->m_bresp = core->answers.front() & 1 ? 2 : 0;
	core->answers.pop_front();
	return true;
}

/* ---- the clock ---- */

static void tick(struct core *core)
{
	Vsearch_core *top = core->top;
	uint64_t address[2];

	top->m_arready = !refuses(core);
	top->m_awready = !refuses(core);
	top->m_wready = !refuses(core);
	top->m_rvalid = deliver(core);
	top->m_bvalid = answer(core);
	top->clk = 0;
	top->eval();
	if (top->m_rvalid && !top->m_rready)
		breach(core, "a line that was asked for is not taken");
	address[0] = top->m_araddr;
	address[1] = top->m_arlen;
	watch(core, &core->ar, top->m_arvalid, top->m_arready, address, 16, "a read was changed");
	watch(core, &core->aw, top->m_awvalid, top->m_awready, &top->m_awaddr, 8,
	      "a write's address was changed");
	watch(core, &core->w, top->m_wvalid, top->m_wready, &top->m_wdata[0], CORE_LINE,
	      "a write's data was changed");
	if (top->m_arvalid && top->m_arready)
		take_read(core);
	if (top->m_awvalid && top->m_awready)
		core->write_addr.push_back(top->m_awaddr);
	if (top->m_wvalid && top->m_wready)
		take_write_data(core);
	finish_writes(core);
	if (lines_open(core) > core->counts.in_flight_max)
		core->counts.in_flight_max = lines_open(core);
	top->clk = 1;
	top->eval();
	core->counts.clocks++;
}

void core_clock(struct core *core, uint64_t clocks)
{
	while (clocks--)
		tick(core);
}

int core_wait(struct core *core, uint64_t clocks_max)
{
	while (!core->top->irq) {
		if (!clocks_max--)
			return -1;
		tick(core);
	}
	return 0;
}

/* ---- registers ---- */

static bool awready(struct core *core)
{
	core->top->clk = 0;
	core->top->eval();
	return core->top->s_awready;
}

static bool arready(struct core *core)
{
	core->top->clk = 0;
	core->top->eval();
	return core->top->s_arready;
}

void core_write(struct core *core, uint32_t offset, uint32_t value)
{
	Vsearch_core *top = core->top;

	top->s_awvalid = top->s_wvalid = 1;
	top->s_awaddr = offset;
	top->s_wdata = value;
	while (!awready(core))
		tick(core);
	tick(core);
	top->s_awvalid = top->s_wvalid = 0;
	top->s_bready = 1;
	while (!top->s_bvalid)
		tick(core);
	tick(core);
	top->s_bready = 0;
}

uint32_t core_read(struct core *core, uint32_t offset)
{
	Vsearch_core *top = core->top;
	uint32_t value;

	top->s_arvalid = 1;
	top->s_araddr = offset;
	while (!arready(core))
		tick(core);
	tick(core);
	top->s_arvalid = 0;
	while (!top->s_rvalid)
		tick(core);
	value = top->s_rdata;
	top->s_rready = 1;
	tick(core);
	top->s_rready = 0;
	return value;
}

struct core_counts core_counts(const struct core *core)
{
	return core->counts;
}

struct core *core_open(const struct core_memory *memory)
{
	struct core *core = new (std::nothrow) struct core();

	if (!core)
		return nullptr;
	core->memory = *memory;
	core->random = memory->seed * 2 + 1;
	/* What no reset sets starts with random bits: nothing may depend on it. */
	core->context.randReset(2);
	core->context.randSeed((int)(memory->seed & 0x3fffffff) + 1);
	core->top = new (std::nothrow) Vsearch_core(&core->context);
	if (!core->top) {
		delete core;
		return nullptr;
	}
	core->top->s_awvalid = core->top->s_wvalid = core->top->s_arvalid = 0;
	core->top->s_bready = core->top->s_rready = 0;
	core->top->rst_n = 0;
	core->top->m_arready = 0;
	for (int i = 0; i < 8; i++) { /* without the bus: what stands on it means nothing yet */
		core->top->clk = i & 1;
		core->top->eval();
	}
	core->top->rst_n = 1;
	tick(core);
	tick(core);
	return core;
}

void core_close(struct core *core)
{
	if (!core)
		return;
	core->top->final();
	delete core->top;
	delete core;
}
