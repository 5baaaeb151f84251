// SPDX-License-Identifier: Apache-2.0
// From the dots of a tile's 16 rows to one query's queue: rows that reach the floor, one a clock, in
// the order of rows.
`default_nettype none
module search_select #(
	parameter K = 16
) (
	input wire clk,
	input wire clear,
	input wire signed [25:0] limit,
	input wire load,             // a tile's dots; only while `last`
	input wire [415:0] dots,     // 16 of 26 bits
	input wire [15:0] present,   // which rows count at all
	input wire [27:0] tile,
	output wire last,            // nothing is left after this clock
	output reg [31:0] passed,    // rows that reached the floor of their moment
	input wire shift,
	output wire head_valid,
	output wire signed [25:0] head_dot,
	output wire [31:0] head_row
);
	reg [415:0] now;
	reg [15:0] left;
	reg [27:0] tile_now;
	wire signed [25:0] floor;
	wire [15:0] reaches;
	wire [15:0] lowest = left & (~left + 16'd1);
	wire insert = left != 0;
	reg [3:0] which;
	reg signed [25:0] dot;
	integer n;
	genvar i;

	assign last = (left & ~lowest) == 0;
	generate
		for (i = 0; i < 16; i = i + 1) begin : row_
			wire signed [25:0] d = dots[26 * i +: 26];
			assign reaches[i] = present[i] && d >= floor;
		end
	endgenerate

	always @* begin
		which = 0;
		dot = 0;
		for (n = 0; n < 16; n = n + 1)
			if (lowest[n]) begin
				which = which | n[3:0];
				dot = dot | now[26 * n +: 26];
			end
	end

	always @(posedge clk)
		if (clear) begin
			left <= 0;
			passed <= 0;
		end else begin
			left <= left & ~lowest;
			if (insert)
				passed <= passed + 32'd1;
			if (load) begin
				now <= dots;
				left <= reaches;
				tile_now <= tile;
			end
		end

	search_queue #(.K(K)) queue (
		.clk(clk), .clear(clear), .limit(limit), .insert(insert), .dot(dot),
		.row({tile_now, which}), .floor(floor), .shift(shift),
		.head_valid(head_valid), .head_dot(head_dot), .head_row(head_row)
	);
endmodule
`default_nettype wire
