// SPDX-License-Identifier: Apache-2.0
// Exact int8 search over one memory channel: `rows` rows in tiles of 16 (kernels/ops.h, "search", one
// part, no tail) against all of its queries at once; the k best dots a query, larger dot first, then
// lower row.
//
// A line of 64 bytes holds 4 dimensions of 16 rows; each clock takes one line against all queries:
// 64 * QUERIES products on 32 * QUERIES multipliers. The queries come as a tile of their own, query i
// in the place of row i. Results: for each query ceil(k / 8) lines of {u32 row, s32 dot}; places that
// stay empty hold {0xffffffff, -2^31}.
//
// Status: 0 done, 1 bad arguments (nothing was read), 2 memory answered with an error.
`default_nettype none
module search_core #(
	parameter PAIRS = 2,      // of queries, 1 .. 4
	parameter K = 16,         // places of a queue, a multiple of 8 below 256
	parameter BURST = 64,
	parameter DEPTH_LOG2 = 9
) (
	input wire clk,
	input wire rst_n,

	input wire s_awvalid,
	output wire s_awready,
	input wire [7:0] s_awaddr,
	input wire s_wvalid,
	output wire s_wready,
	input wire [31:0] s_wdata,
	output wire s_bvalid,
	input wire s_bready,
	input wire s_arvalid,
	output wire s_arready,
	input wire [7:0] s_araddr,
	output wire s_rvalid,
	input wire s_rready,
	output wire [31:0] s_rdata,
	output wire irq,

	output wire m_arvalid,
	input wire m_arready,
	output wire [63:0] m_araddr,
	output wire [7:0] m_arlen,
	input wire m_rvalid,
	output wire m_rready,
	input wire [511:0] m_rdata,
	input wire [1:0] m_rresp,
	output wire m_awvalid,
	input wire m_awready,
	output wire [63:0] m_awaddr,
	output wire m_wvalid,
	input wire m_wready,
	output wire [511:0] m_wdata,
	input wire m_bvalid,
	output wire m_bready,
	input wire [1:0] m_bresp
);
	localparam QUERIES = 2 * PAIRS;
	localparam LAST_QUERY = QUERIES - 1;
	localparam SLOTS = 16; // tiles between the first multiplier and the queues
	localparam QUERY_BITS = PAIRS == 1 ? 1 : PAIRS == 2 ? 2 : 3;
	localparam CHAIN = 6;  // clocks from a line's first operands to its sums
	localparam [31:0] SHAPE = DEPTH_LOG2 << 24 | BURST << 16 | K << 8 | QUERIES;

	reg rst;
	always @(posedge clk)
		rst <= !rst_n;

	// ---- arguments ----
	wire start;
	wire [63:0] queries_at, tiles_at, results_at;
	wire [31:0] dim, tiles, rows, k;
	wire [32 * QUERIES - 1:0] limits, passed;
	reg done;
	reg [31:0] status, stalled, starved;
	reg [63:0] clocks;
	reg [8:0] lines; // of a tile

	search_control #(.QUERIES(QUERIES), .SHAPE(SHAPE)) control (
		.clk(clk), .rst(rst),
		.s_awvalid(s_awvalid), .s_awready(s_awready), .s_awaddr(s_awaddr),
		.s_wvalid(s_wvalid), .s_wready(s_wready), .s_wdata(s_wdata),
		.s_bvalid(s_bvalid), .s_bready(s_bready),
		.s_arvalid(s_arvalid), .s_arready(s_arready), .s_araddr(s_araddr),
		.s_rvalid(s_rvalid), .s_rready(s_rready), .s_rdata(s_rdata),
		.irq(irq), .start(start), .done(done), .status(status),
		.clocks(clocks), .stalled(stalled), .starved(starved), .passed(passed),
		.queries_at(queries_at), .tiles_at(tiles_at), .results_at(results_at),
		.dim(dim), .tiles(tiles), .rows(rows), .k(k), .limits(limits)
	);

	wire bad = dim == 0 || dim > 1024 || tiles == 0 || tiles >= 32'h10000000 || k == 0 ||
		   k > K || queries_at[5:0] != 0 || tiles_at[5:0] != 0 || results_at[5:0] != 0;

	// ---- states ----
	localparam IDLE = 0, CHECK = 1, COUNT = 2, SCAN = 3, GATHER = 4, WRITE = 5, ANSWERS = 6;
	reg [2:0] state;
	wire clear = state == CHECK;
	reg asked_queries, asked_tiles;

	// lines of all tiles, by adding: a multiplier for this alone would be a waste
	reg [39:0] total, addend;
	reg [8:0] factor;

	// ---- lines ----
	wire run_ready, line_valid, line_ready, read_failed;
	wire [511:0] line;
	wire run_valid = state == COUNT ? !asked_queries : state == SCAN && !asked_tiles;

	search_reader #(.BURST(BURST), .DEPTH_LOG2(DEPTH_LOG2)) reader (
		.clk(clk), .rst(rst || clear), .run_valid(run_valid), .run_ready(run_ready),
		.run_addr(state == COUNT ? queries_at : tiles_at),
		.run_lines(state == COUNT ? {31'd0, lines} : total),
		.ar_valid(m_arvalid), .ar_ready(m_arready), .ar_addr(m_araddr), .ar_len(m_arlen),
		.r_valid(m_rvalid), .r_ready(m_rready), .r_data(m_rdata), .r_resp(m_rresp),
		.line_valid(line_valid), .line_ready(line_ready), .line(line), .failed(read_failed)
	);

	// The first tile that comes are the queries.
	reg have_queries;
	reg [8:0] at; // line of the tile
	reg [31:0] tiles_left;
	reg [4:0] under_way; // tiles between their last line and their slot's end
	wire last_line = at + 9'd1 == lines;
	wire room = !last_line || under_way != SLOTS[4:0];
	wire scanning = have_queries && tiles_left != 0;
	wire retire;

	assign line_ready = have_queries ? tiles_left != 0 && room : 1'b1;
	wire load = line_valid && !have_queries;
	wire feed = line_valid && scanning && room;

	// ---- queries, packed ----
	reg [108 * PAIRS - 1:0] packed_ [0:255];
	reg [108 * PAIRS - 1:0] packing;
	integer p, d;
	reg signed [26:0] low, high;
	always @* begin
		packing = 0;
		low = 0;
		high = 0;
		for (p = 0; p < PAIRS; p = p + 1)
			for (d = 0; d < 4; d = d + 1) begin
				low = {{20{!line[64 * p + 8 * d + 7]}}, line[64 * p + 8 * d +: 7]};
				high = {!line[64 * p + 32 + 8 * d + 7], !line[64 * p + 32 + 8 * d + 7],
					line[64 * p + 32 + 8 * d +: 7], 18'd0};
				packing[108 * p + 27 * d +: 27] = low + high;
			end
	end

	reg [108 * PAIRS - 1:0] q_now;
	always @(posedge clk) begin
		if (load)
			packed_[at[7:0]] <= packing;
		q_now <= packed_[at[7:0]];
	end

	// ---- operands: dimension i enters i clocks later ----
	reg [511:0] x_now;
	reg [CHAIN:0] valid, first, last;
	always @(posedge clk) begin
		x_now <= line;
		first <= {first[CHAIN - 1:0], at == 0};
		last <= {last[CHAIN - 1:0], last_line};
		valid <= clear ? {(CHAIN + 1){1'b0}} : {valid[CHAIN - 1:0], feed};
	end

	wire [511:0] x_skewed;
	wire [108 * PAIRS - 1:0] q_skewed;
	genvar r, i, s;
	generate
		for (r = 0; r < 16; r = r + 1) begin : x_row
			for (i = 0; i < 4; i = i + 1) begin : x_dim
				search_delay #(.WIDTH(8), .CLOCKS(i)) delay (
					.clk(clk), .in(x_now[32 * r + 8 * i +: 8] ^ 8'h80),
					.out(x_skewed[32 * r + 8 * i +: 8])
				);
			end
		end
		for (r = 0; r < PAIRS; r = r + 1) begin : q_pair
			for (i = 0; i < 4; i = i + 1) begin : q_dim
				search_delay #(.WIDTH(27), .CLOCKS(i)) delay (
					.clk(clk), .in(q_now[108 * r + 27 * i +: 27]),
					.out(q_skewed[108 * r + 27 * i +: 27])
				);
			end
		end
	endgenerate

	// ---- multipliers ----
	wire [416 * QUERIES - 1:0] dots; // [query][row]
	generate
		for (r = 0; r < 16; r = r + 1) begin : row_
			for (s = 0; s < PAIRS; s = s + 1) begin : pair_
				search_row row (
					.clk(clk), .x(x_skewed[32 * r +: 32]), .q(q_skewed[108 * s +: 108]),
					.valid(valid[CHAIN]), .first(first[CHAIN]),
					.dot0(dots[832 * s + 26 * r +: 26]),
					.dot1(dots[832 * s + 416 + 26 * r +: 26])
				);
			end
		end
	endgenerate

	// ---- slots: a tile's dots wait for the queues ----
	reg [416 * QUERIES - 1:0] slot [0:SLOTS - 1];
	reg [4:0] slot_head, slot_tail;
	reg tile_ready;
	reg [27:0] tile_now;
	wire [416 * QUERIES - 1:0] oldest = slot[slot_head[3:0]];
	wire [QUERIES - 1:0] ends;
	wire [31:0] row_now = {tile_now, 4'd0};
	wire [15:0] present;

	assign retire = slot_head != slot_tail && &ends;
	generate
		for (r = 0; r < 16; r = r + 1) begin : present_
			assign present[r] = (row_now | r) < rows;
		end
	endgenerate

	always @(posedge clk)
		if (tile_ready)
			slot[slot_tail[3:0]] <= dots;

	always @(posedge clk)
		if (clear) begin
			tile_ready <= 0;
			slot_head <= 0;
			slot_tail <= 0;
			tile_now <= 0;
			under_way <= 0;
		end else begin
			tile_ready <= valid[CHAIN] && last[CHAIN];
			slot_tail <= slot_tail + {4'd0, tile_ready};
			slot_head <= slot_head + {4'd0, retire};
			tile_now <= tile_now + {27'd0, retire};
			under_way <= under_way + {4'd0, feed && last_line} - {4'd0, retire};
		end

	// ---- queues ----
	wire [QUERIES - 1:0] head_valid;
	wire [26 * QUERIES - 1:0] head_dot;
	wire [32 * QUERIES - 1:0] head_row;
	reg [QUERY_BITS - 1:0] query; // whose result is written
	reg [2:0] place; // in the line
	reg [7:0] rank;
	generate
		for (i = 0; i < QUERIES; i = i + 1) begin : query_
			// No dot is outside +-2^24, so limits may be clamped to 26 bits.
			wire signed [31:0] wanted = limits[32 * i +: 32];
			wire signed [25:0] limit = wanted > 32'sh1ffffff ? 26'sh1ffffff :
						   wanted < -32'sh1ffffff ? -26'sh1ffffff : wanted[25:0];
			search_select #(.K(K)) select (
				.clk(clk), .clear(clear), .limit(limit), .load(retire),
				.dots(oldest[416 * i +: 416]), .present(present), .tile(tile_now),
				.last(ends[i]), .passed(passed[32 * i +: 32]),
				.shift(state == GATHER && query == i), .head_valid(head_valid[i]),
				.head_dot(head_dot[26 * i +: 26]), .head_row(head_row[32 * i +: 32])
			);
		end
	endgenerate

	// ---- results ----
	reg [63:0] out_addr;
	reg [511:0] out;
	wire out_ready, writes_idle, write_failed;
	wire there = head_valid[query] && rank < k[7:0];
	wire signed [25:0] dot_out = head_dot[26 * query +: 26];
	wire [63:0] entry = there ? {{6{dot_out[25]}}, dot_out, head_row[32 * query +: 32]}
				  : 64'h80000000ffffffff;

	search_writer writer (
		.clk(clk), .rst(rst || clear), .line_valid(state == WRITE), .line_ready(out_ready),
		.line_addr(out_addr), .line(out), .aw_valid(m_awvalid), .aw_ready(m_awready),
		.aw_addr(m_awaddr), .w_valid(m_wvalid), .w_ready(m_wready), .w_data(m_wdata),
		.b_valid(m_bvalid), .b_ready(m_bready), .b_resp(m_bresp), .idle(writes_idle),
		.failed(write_failed)
	);

	always @(posedge clk)
		if (clear) begin
			have_queries <= 0;
			at <= 0;
			tiles_left <= tiles;
		end else if (load || feed) begin
			at <= last_line ? 9'd0 : at + 9'd1;
			if (load && last_line)
				have_queries <= 1;
			if (feed && last_line)
				tiles_left <= tiles_left - 32'd1;
		end

	always @(posedge clk)
		if (start) begin
			clocks <= 0;
			stalled <= 0;
			starved <= 0;
		end else if (state != IDLE) begin
			clocks <= clocks + 64'd1;
			stalled <= stalled + {31'd0, line_valid && scanning && !room};
			starved <= starved + {31'd0, scanning && !line_valid};
		end

	wire quiet = valid == 0 && !tile_ready && slot_head == slot_tail && &ends;
	always @(posedge clk) begin
		done <= 0;
		if (rst)
			state <= IDLE;
		else
			case (state)
			IDLE:
				if (start) begin
					state <= CHECK;
					lines <= 9'd0;
				end
			CHECK: begin
				lines <= dim[10:2] + {8'd0, dim[1:0] != 0};
				factor <= dim[10:2] + {8'd0, dim[1:0] != 0};
				total <= 0;
				addend <= {8'd0, tiles};
				asked_queries <= 0;
				asked_tiles <= 0;
				query <= 0;
				place <= 0;
				rank <= 0;
				out_addr <= results_at;
				if (bad) begin
					status <= 32'd1;
					done <= 1;
				end
				state <= bad ? IDLE : COUNT;
			end
			COUNT: begin
				if (run_ready)
					asked_queries <= 1;
				total <= total + (factor[0] ? addend : 40'd0);
				addend <= addend << 1;
				factor <= factor >> 1;
				if (factor == 0 && asked_queries)
					state <= SCAN;
			end
			SCAN: begin
				if (run_ready)
					asked_tiles <= 1;
				if (have_queries && tiles_left == 0 && quiet)
					state <= GATHER;
			end
			GATHER: begin
				out <= {entry, out[511:64]};
				place <= place + 3'd1;
				rank <= rank + 8'd1;
				if (place == 3'd7)
					state <= WRITE;
			end
			WRITE:
				if (out_ready) begin
					out_addr <= out_addr + 64'd64;
					state <= GATHER;
					if (rank >= k[7:0]) begin
						rank <= 0;
						query <= query + 1'b1;
						if (query == LAST_QUERY[QUERY_BITS - 1:0])
							state <= ANSWERS;
					end
				end
			default:
				if (writes_idle) begin
					status <= read_failed || write_failed ? 32'd2 : 32'd0;
					done <= 1;
					state <= IDLE;
				end
			endcase
	end
endmodule
`default_nettype wire
