// SPDX-License-Identifier: Apache-2.0
// Reads runs of 64-byte lines by bursts, in order, into a buffer.
//
// A burst is asked for only when the buffer has room for all of it, so what memory sends is always
// taken and the compute side may stop for as long as it likes. No burst crosses 4 KiB. The next run
// is accepted as soon as the last burst of the one before was asked for, so runs follow each other
// without a gap.
`default_nettype none
module search_reader #(
	parameter BURST = 64,     // lines a burst at most, a power of two up to 64
	parameter DEPTH_LOG2 = 9  // lines of buffer
) (
	input wire clk,
	input wire rst,

	input wire run_valid,
	output wire run_ready,
	input wire [63:0] run_addr,  // multiple of 64
	input wire [39:0] run_lines, // >= 1

	output reg ar_valid,
	input wire ar_ready,
	output reg [63:0] ar_addr,
	output reg [7:0] ar_len, // lines - 1
	input wire r_valid,
	output wire r_ready,
	input wire [511:0] r_data,
	input wire [1:0] r_resp,

	output reg line_valid,
	input wire line_ready,
	output reg [511:0] line,
	output reg failed // memory said an error since reset
);
	localparam DEPTH = 1 << DEPTH_LOG2;

	// ---- bursts ----
	reg [63:0] addr;
	reg [39:0] left;
	reg [DEPTH_LOG2:0] room; // lines of the buffer that nothing was asked for

	wire [6:0] to_border = 7'd64 - {1'b0, addr[11:6]};
	wire [6:0] most = to_border < BURST[6:0] ? to_border : BURST[6:0];
	wire [6:0] lines = left < {33'd0, most} ? left[6:0] : most;
	wire fits = {{(DEPTH_LOG2 - 6){1'b0}}, lines} <= room;
	wire ask = left != 0 && fits && !ar_valid;

	assign run_ready = left == 0;

	always @(posedge clk)
		if (rst) begin
			left <= 0;
			ar_valid <= 0;
		end else begin
			if (run_valid && run_ready) begin
				addr <= run_addr;
				left <= run_lines;
			end
			if (ar_ready)
				ar_valid <= 0;
			if (ask) begin
				ar_valid <= 1;
				ar_addr <= addr;
				ar_len <= {1'b0, lines} - 8'd1;
				addr <= addr + {51'd0, lines, 6'd0};
				left <= left - {33'd0, lines};
			end
		end

	// ---- buffer ----
	reg [511:0] buffer [0:DEPTH - 1];
	reg [DEPTH_LOG2:0] head, tail; // one bit more than an index: full and empty differ
	wire arrives = r_valid;
	wire take = head != tail && (!line_valid || line_ready);

	assign r_ready = 1'b1;

	always @(posedge clk) begin
		if (arrives)
			buffer[tail[DEPTH_LOG2 - 1:0]] <= r_data;
		if (take)
			line <= buffer[head[DEPTH_LOG2 - 1:0]];
	end

	always @(posedge clk)
		if (rst) begin
			head <= 0;
			tail <= 0;
			line_valid <= 0;
			failed <= 0;
			room <= DEPTH[DEPTH_LOG2:0];
		end else begin
			if (r_valid) begin
				tail <= tail + 1'b1;
				if (r_resp[1])
					failed <= 1;
			end
			if (take)
				head <= head + 1'b1;
			line_valid <= take || (line_valid && !line_ready);
			room <= room + {{DEPTH_LOG2{1'b0}}, take} -
				(ask ? {{(DEPTH_LOG2 - 6){1'b0}}, lines} : {(DEPTH_LOG2 + 1){1'b0}});
		end
	wire unused = &{1'b0, r_resp[0]};
endmodule
`default_nettype wire
