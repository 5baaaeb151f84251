// SPDX-License-Identifier: Apache-2.0
// The best K rows of one query, best first: larger dot, then lower row. One insertion a clock.
//
// Each cell compares the newcomer with what it holds; those that it beats move one place down, all
// in the same clock. `floor` is what a row must reach to have a chance: the limit, or once K are
// held the dot of the last.
`default_nettype none
module search_queue #(
	parameter K = 16
) (
	input wire clk,
	input wire clear,
	input wire signed [25:0] limit,
	input wire insert,
	input wire signed [25:0] dot,
	input wire [31:0] row,
	output wire signed [25:0] floor,
	input wire shift, // drop the first
	output wire head_valid,
	output wire signed [25:0] head_dot,
	output wire [31:0] head_row
);
	reg [K - 1:0] held;
	reg signed [25:0] dots [0:K - 1];
	reg [31:0] rows [0:K - 1];
	wire [K - 1:0] beats;
	genvar i;

	assign floor = held[K - 1] ? dots[K - 1] : limit;
	assign head_valid = held[0];
	assign head_dot = dots[0];
	assign head_row = rows[0];

	generate
		for (i = 0; i < K; i = i + 1) begin : cell_
			assign beats[i] = !held[i] || dot > dots[i] || (dot == dots[i] && row < rows[i]);
		end

		always @(posedge clk)
			if (clear)
				held[0] <= 0;
			else if (insert && beats[0]) begin
				held[0] <= 1;
				dots[0] <= dot;
				rows[0] <= row;
			end else if (shift) begin
				held[0] <= held[1];
				dots[0] <= dots[1];
				rows[0] <= rows[1];
			end

		for (i = 1; i < K; i = i + 1) begin : move
			always @(posedge clk)
				if (clear)
					held[i] <= 0;
				else if (insert && beats[i]) begin
					held[i] <= beats[i - 1] ? held[i - 1] : 1'b1;
					dots[i] <= beats[i - 1] ? dots[i - 1] : dot;
					rows[i] <= beats[i - 1] ? rows[i - 1] : row;
				end else if (shift) begin
					held[i] <= i + 1 < K ? held[(i + 1) % K] : 1'b0;
					dots[i] <= dots[(i + 1) % K];
					rows[i] <= rows[(i + 1) % K];
				end
		end
	endgenerate
endmodule
`default_nettype wire
